// Package bankkeys is the key folder of a bank: what is in it, how it is made
// the first time, and how it is read.
//
//	issue.key                  makes coins from withdrawal salts
//	fingerprint.key            makes ledger keys from coins
//	header-SUITE-KEYID.key     opens headers sealed for it (PKCS#8), one file a key
//	retired-header-...         not read any more; kept until somebody deletes it
//	tls.key, tls.crt           the bank's own TLS identity
//
// Every .key file has mode 0600 and is refused when wider. The folder is apart
// from the ledger's, because a ledger without these keys reveals no coin: keep
// their backups apart too.
package bankkeys

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/keyfile"
)

const (
	issueFile       = "issue.key"
	fingerprintFile = "fingerprint.key"
	tlsName         = "tls"
	headerPrefix    = "header-"
	retiredPrefix   = "retired-"
	keySuffix       = ".key"
)

// Keys are all keys of one bank, ready for use.
type Keys struct {
	Ring *core.Keyring      // opens headers
	Mint *core.Mint         // makes coins and fingerprints
	TLS  *identity.Identity // the bank's TLS certificate
}

// Exists reports whether dir holds keys of a bank. A folder that holds some of
// the symmetric keys and lacks others is an error: making the missing one anew
// would orphan every coin in the ledger.
func Exists(dir string) (bool, error) {
	var found, missing []string
	for _, name := range []string{issueFile, fingerprintFile} {
		switch _, err := os.Lstat(filepath.Join(dir, name)); {
		case err == nil:
			found = append(found, name)
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		default:
			return false, err
		}
	}
	if len(found) > 0 && len(missing) > 0 {
		return false, fmt.Errorf("%s holds %s but not %s: restore it from the backup; no coin of this bank can be found without it",
			dir, strings.Join(found, ", "), strings.Join(missing, ", "))
	}
	return len(found) > 0, nil
}

// Create makes dir with a new set of keys: one header key of the given suite and
// a TLS identity for hosts (DNS names or IP addresses). The folder appears
// complete or not at all; dir must not exist, or be empty. It returns the paths
// of the files.
func Create(dir string, suite core.Suite, hosts []string) (paths []string, err error) {
	dir = filepath.Clean(dir) // with a slash at its end, temp would lie inside
	temp := dir + ".new"
	if err := os.RemoveAll(temp); err != nil { // what a crash left; nothing was ever used from it
		return nil, err
	}
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp) // of a Create that failed: otherwise it is gone by then
	if _, _, err := AddHeaderKey(temp, suite); err != nil {
		return nil, err
	}
	if _, err := identity.Create(temp, tlsName, hosts); err != nil {
		return nil, err
	}
	for _, f := range []struct{ name, typ string }{
		{issueFile, keyfile.TypeIssueKey},
		{fingerprintFile, keyfile.TypeFingerprintKey},
	} {
		var key [32]byte
		rand.Read(key[:])
		err := keyfile.WriteSecret(filepath.Join(temp, f.name), f.typ, &key)
		clear(key[:])
		if err != nil {
			return nil, err
		}
	}
	// Not os.Rename, which does not replace an empty folder.
	if err := syscall.Rename(temp, dir); err != nil {
		return nil, fmt.Errorf("make the key folder %s, which must be absent or empty: %w", dir, err)
	}
	if err := keyfile.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths, err
}

// AddHeaderKey makes a header key of the given suite in dir. A bank that runs
// takes it up when it is started again.
func AddHeaderKey(dir string, suite core.Suite) (path string, public *core.PublicKey, err error) {
	key, err := core.GenerateKey(suite)
	if err != nil {
		return "", nil, err
	}
	der, err := key.MarshalPKCS8()
	if err != nil {
		return "", nil, err
	}
	defer clear(der)
	public = key.Public()
	path = filepath.Join(dir, headerPrefix+suite.String()+"-"+public.ID().String()+keySuffix)
	return path, public, keyfile.WritePrivateKey(path, der)
}

// Open reads every key in dir. The TLS certificate may come from elsewhere:
// certFile and keyFile name it, or are both empty.
func Open(dir, certFile, keyFile string) (*Keys, error) {
	ring, err := OpenRing(dir)
	if err != nil {
		return nil, err
	}
	issue, err := keyfile.ReadSecret(filepath.Join(dir, issueFile), keyfile.TypeIssueKey)
	if err != nil {
		return nil, err
	}
	defer clear(issue[:])
	fingerprint, err := keyfile.ReadSecret(filepath.Join(dir, fingerprintFile), keyfile.TypeFingerprintKey)
	if err != nil {
		return nil, err
	}
	defer clear(fingerprint[:])
	id, err := OpenTLS(dir, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &Keys{Ring: ring, Mint: core.NewMint(&issue, &fingerprint), TLS: id}, nil
}

// OpenTLS reads the TLS certificate alone, from dir or from the two files named.
func OpenTLS(dir, certFile, keyFile string) (*identity.Identity, error) {
	if certFile == "" {
		certFile, keyFile = filepath.Join(dir, tlsName+".crt"), filepath.Join(dir, tlsName+keySuffix)
	}
	return identity.Load(certFile, keyFile)
}

// Retire takes the header key with this id out of use: its file gets a name that is read
// no more. A bank that runs opens and announces it until it reloads its keys. The last
// key cannot be retired: a bank without one starts no more.
func Retire(dir, keyID string) (path string, err error) {
	names, err := newestFirst(dir)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, "-"+keyID+keySuffix) })
	switch {
	case keyID == "" || i < 0:
		return "", fmt.Errorf("%s holds no header key with id %q", dir, keyID)
	case len(names) == 1:
		return "", fmt.Errorf("%s is the only header key: make another first", names[0])
	}
	old := filepath.Join(dir, names[i])
	path = filepath.Join(dir, retiredPrefix+names[i])
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s exists already", path)
	}
	if err := os.Rename(old, path); err != nil {
		return "", err
	}
	return path, keyfile.SyncDir(dir)
}

// OpenRing reads the header keys in dir alone, the newest file first: clients take
// the first key of their suite, so a new key takes over from those before it.
func OpenRing(dir string) (*core.Keyring, error) {
	names, err := newestFirst(dir)
	if err != nil {
		return nil, err
	}
	var keys []*core.PrivateKey
	for _, name := range names {
		path := filepath.Join(dir, name)
		key, err := readHeaderKey(path)
		if err != nil {
			return nil, err
		}
		if id := key.Public().ID().String(); !strings.HasSuffix(name, "-"+id+keySuffix) {
			return nil, fmt.Errorf("%s holds the key with id %s: give the file the name it had", path, id)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no header key (%sSUITE-KEYID%s): make one with \"ecoin keys new\"", dir, headerPrefix, keySuffix)
	}
	return core.NewKeyring(keys...)
}

// newestFirst returns the names of the header key files in dir, by time of change
// and, where that is equal, by name.
func newestFirst(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []fs.FileInfo // sorted by name
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), headerPrefix) || !strings.HasSuffix(e.Name(), keySuffix) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		files = append(files, info)
	}
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names, nil
}

func readHeaderKey(path string) (*core.PrivateKey, error) {
	der, err := keyfile.ReadPrivateKey(path)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	key, err := core.ParsePrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
