package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"ecoin/core"
	"ecoin/internal/bankkeys"
	"ecoin/internal/identity"
)

type keysCmd struct {
	Client keysClientCmd `cmd:"" help:"Make a key and certificate for a collector, an analyst or a director."`
	New    keysNewCmd    `cmd:"" help:"Make a further header key for a bank; SIGHUP or a restart takes it up."`
	List   keysListCmd   `cmd:"" help:"List a bank's header keys."`
	Retire keysRetireCmd `cmd:"" help:"Take a header key of a bank out of use; SIGHUP or a restart makes it so."`
}

type keysClientCmd struct {
	Name string   `arg:"" help:"Name in the certificate; the files are NAME.crt and NAME.key."`
	Dir  string   `help:"Folder for the two files." default:"."`
	Host []string `help:"DNS name or IP address by which a server with this certificate is reached (directors, analysts)." default:"localhost,127.0.0.1"`
}

func (c *keysClientCmd) Run(std streams) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	id, err := identity.Create(c.Dir, c.Name, c.Host)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s (0600)\n%s\npin %x\n",
		filepath.Join(c.Dir, c.Name+".key"), filepath.Join(c.Dir, c.Name+".crt"), id.Pin)
	return nil
}

type keysNewCmd struct {
	Dir   bankDir `help:"Folder of the bank." default:"${dir}"`
	Suite string  `help:"Suite of the key: ${enum}." enum:"x25519,xwing,rsa3072" default:"x25519"`
}

func (c *keysNewCmd) Run(std streams) error {
	suite, err := core.ParseSuite(c.Suite)
	if err != nil {
		return err
	}
	path, public, err := bankkeys.AddHeaderKey(c.Dir.keys(), suite)
	if err != nil {
		return err
	}
	if err := c.Dir.journal().Append("header key made", map[string]any{"suite": suite.String(), "key_id": public.ID().String()}); err != nil {
		return errors.Join(fmt.Errorf("the journal cannot be written, so the key is taken away again: %w", err), os.Remove(path))
	}
	fmt.Fprintf(std.out, "%s (0600)\nsuite %v, key id %v\nThe running bank takes it up on SIGHUP.\n", path, suite, public.ID())
	return nil
}

type keysRetireCmd struct {
	Dir   bankDir `help:"Folder of the bank." default:"${dir}"`
	KeyID string  `arg:"" help:"Id of the key, 16 hexadecimal digits: see list."`
}

func (c *keysRetireCmd) Run(std streams) error {
	if err := c.Dir.journal().Append("header key retired", map[string]any{"key_id": c.KeyID}); err != nil {
		return fmt.Errorf("the journal cannot be written, so nothing was done: %w", err)
	}
	path, err := bankkeys.Retire(c.Dir.keys(), c.KeyID)
	if err != nil {
		return errors.Join(err, c.Dir.journal().Append("failed", map[string]any{"what": "header key retired", "error": err.Error()}))
	}
	fmt.Fprintf(std.out, "%s\nHeaders sealed for it open until the bank is told by SIGHUP; those still on their way then are lost to their collectors, who ask for a refund.\n", path)
	return nil
}

type keysListCmd struct {
	Dir bankDir `help:"Folder of the bank." default:"${dir}"`
}

func (c *keysListCmd) Run(std streams) error {
	ring, err := bankkeys.OpenRing(c.Dir.keys())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SUITE\tKEY ID\tPUBLIC KEY")
	for _, k := range ring.Public() {
		text := base64.StdEncoding.EncodeToString(k.Bytes())
		const most = 64
		if len(text) > most {
			text = text[:most] + "..."
		}
		fmt.Fprintf(w, "%v\t%v\t%s\n", k.Suite(), k.ID(), text)
	}
	return w.Flush()
}
