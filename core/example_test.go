package core_test

import (
	"crypto/rand"
	"fmt"
	"log"

	"ecoin/core"
)

// One operation from end to end, with what each role knows.
func Example() {
	// The bank has a key and publishes its public half.
	private, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		log.Fatal(err)
	}
	bank, err := core.NewKeyring(private)
	if err != nil {
		log.Fatal(err)
	}
	key := bank.Public()[0]

	// The collector has a coin, draws an IV, and seals an operation.
	var collectorScratch core.Scratch
	var kept core.Secrets
	rand.Read(kept.Coin[:]) // here; a real coin comes from a withdrawal
	rand.Read(kept.IV[:])
	operation, err := core.AppendOperation(nil, "summary", []byte("temperature\n20.5\n20.75\n"))
	if err != nil {
		log.Fatal(err)
	}
	record, err := key.AppendHeader(nil, &collectorScratch, &kept)
	if err != nil {
		log.Fatal(err)
	}
	message, err := core.AppendRequest(nil, &collectorScratch, record, &kept, operation)
	if err != nil {
		log.Fatal(err)
	}

	// The analyst receives it and sends the record to the bank, which opens it.
	request, err := core.ParseRequest(message)
	if err != nil {
		log.Fatal(err)
	}
	var bankScratch core.Scratch
	var opened core.Secrets
	if err := bank.OpenHeader(&bankScratch, request.AppendRecord(nil), &opened); err != nil {
		log.Fatal(err)
	}

	// With coin and IV the analyst opens the payload and seals its answer.
	var analystScratch core.Scratch
	plaintext, err := request.Open(nil, &analystScratch, &opened)
	if err != nil {
		log.Fatal(err)
	}
	name, body, err := core.CutOperation(plaintext)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s of %q\n", name, body)
	reply, err := request.AppendReply(nil, &analystScratch, &opened,
		core.AppendResult(nil, core.ReplyOK, []byte("mean 20.625")))
	if err != nil {
		log.Fatal(err)
	}

	// The collector opens it with what it kept.
	answer, err := core.OpenReply(nil, &collectorScratch, key, &kept, reply)
	if err != nil {
		log.Fatal(err)
	}
	status, result, err := core.CutResult(answer)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status == core.ReplyOK, string(result))
	fmt.Println("the coin prints as", kept.Coin)
	// Output:
	// summary of "temperature\n20.5\n20.75\n"
	// true mean 20.625
	// the coin prints as redacted
}

// A bank opens a batch of records; one that does not open leaves the others alone.
func ExampleKeyring_OpenHeaders() {
	private, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		log.Fatal(err)
	}
	bank, err := core.NewKeyring(private)
	if err != nil {
		log.Fatal(err)
	}
	var s core.Scratch
	batch, err := private.Public().AppendHeaders(nil, &s, make([]core.Secrets, 3))
	if err != nil {
		log.Fatal(err)
	}
	batch[150] ^= 1 // somewhere in the second record

	var records [][]byte
	for len(batch) > 0 {
		var record []byte
		if record, batch, err = core.CutRecord(batch); err != nil {
			log.Fatal(err)
		}
		records = append(records, record)
	}
	out, ok := make([]core.Secrets, len(records)), make([]bool, len(records))
	bank.OpenHeaders(&s, records, out, ok)
	fmt.Println(ok)
	// Output: [true false true]
}

// A bank derives the coins of a withdrawal for the collector, and their
// fingerprints for its ledger, from one random salt.
func ExampleMint() {
	var issueKey, fingerprintKey [32]byte
	rand.Read(issueKey[:])
	rand.Read(fingerprintKey[:])
	mint := core.NewMint(&issueKey, &fingerprintKey)

	var salt core.Salt
	rand.Read(salt[:])
	coins := mint.AppendCoins(nil, &salt, 1000)
	fingerprints := mint.AppendFingerprints(nil, &salt, 1000)
	fmt.Println(len(coins), len(fingerprints), mint.Fingerprint(&coins[7]) == fingerprints[7])
	// Output: 1000 1000 true
}
