// Package arrows holds the test of the module's import directions. It has no code.
package arrows
