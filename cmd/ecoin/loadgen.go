package main

type loadgenCmd struct {
	Report loadgenReportCmd `cmd:"" help:"Show a run again: as text, as a page, for HdrHistogram's tools."`
}
