// Package ledgertest is the conformance suite of the ledger: what every
// implementation must do, whatever it is built on. An implementation runs it from a
// test of its own:
//
//	func TestConformance(t *testing.T) {
//		ledgertest.Run(t, func(t testing.TB) ledgertest.Store {
//			dir := t.TempDir()
//			return func(o ledgertest.Options) (ledgertest.Ledger, error) { ... open dir with o ... }
//		})
//	}
package ledgertest

import (
	"context"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// Ledger is what an implementation provides. The methods mean what those of
// [ledger.Ledger] mean.
type Ledger interface {
	Withdraw(ctx context.Context, acc ledger.AccountID, id ledger.RequestID, salt core.Salt, n int) (core.Salt, error)
	Redeem(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error
	Return(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error
	Refund(ctx context.Context, acc ledger.AccountID, coins []core.Fingerprint, out []ledger.Refund) error
	AddAccount(ctx context.Context, name string, role ledger.Role, pin ledger.Pin) (ledger.Account, error)
	AddAccounts(ctx context.Context, accounts []ledger.NewAccount, ids []ledger.AccountID, errs []error) error
	SetState(ctx context.Context, id ledger.AccountID, state ledger.State) (ledger.Account, error)
	AddPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error)
	DropPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error)
	Grant(ctx context.Context, id ledger.AccountID, amount int64) (ledger.Account, error)
	Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error)
	ClientByPin(ctx context.Context, pin ledger.Pin) (ledger.Client, error)
	AccountByName(ctx context.Context, name string) (ledger.Account, error)
	Accounts(ctx context.Context, visit func(ledger.Account) error) error
	Audit(ctx context.Context) (ledger.Audit, error)
	Close() error
}

// Options are the settings that the suite needs to choose. All are set.
type Options struct {
	Mint             func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint
	Now              func() time.Time
	SpentWindow      time.Duration
	WithdrawalWindow time.Duration
}

// Store opens one storage, which is empty before the first time. The suite closes the
// ledger before it opens the same storage again, and then expects it as it was.
type Store func(o Options) (Ledger, error)

// part returns n, or a fifth of it under the race detector, which makes everything many
// times slower and finds in the first rounds what it finds at all.
func part(n int) int {
	if raceEnabled {
		return n / 5
	}
	return n
}

// Run tests an implementation. newStore makes a new storage, which lasts as long as
// the test it is made for.
func Run(t *testing.T, newStore func(t testing.TB) Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, func(testing.TB) Store)
	}{
		{"Accounts", testAccounts},
		{"AccountRefusals", testAccountRefusals},
		{"AddAccounts", testAddAccounts},
		{"Names", testNames},
		{"States", testStates},
		{"Pins", testPins},
		{"Grants", testGrants},
		{"Withdraw", testWithdraw},
		{"WithdrawRefusals", testWithdrawRefusals},
		{"WithdrawSaltUsed", testWithdrawSaltUsed},
		{"Rules", testRules},
		{"Evidence", testEvidence},
		{"Batches", testBatches},
		{"CallRefusals", testCallRefusals},
		{"SpentWindow", testSpentWindow},
		{"ReturnedForEver", testReturnedForEver},
		{"WithdrawalWindow", testWithdrawalWindow},
		{"ClockBackwards", testClockBackwards},
		{"Reopen", testReopen},
		{"Closed", testClosed},
		{"OneWinner", testOneWinner},
		{"EveryCoinEightTimes", testEveryCoinEightTimes},
		{"RedeemRefundRace", testRedeemRefundRace},
		{"ReturnRefundRace", testReturnRefundRace},
		{"WithdrawRepeatRace", testWithdrawRepeatRace},
		{"WithdrawBalanceRace", testWithdrawBalanceRace},
		{"GrantRace", testGrantRace},
		{"PinRace", testPinRace},
		{"AuditUnderLoad", testAuditUnderLoad},
		{"History", testHistory},
		{"Linearizable", testLinearizable},
		{"LinearizableBooks", testLinearizableBooks},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, newStore)
		})
	}
}
