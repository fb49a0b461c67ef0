package wire

import "time"

// Paths of the admin API: JSON over HTTP on the bank's Unix socket. Whoever may
// connect to the socket is the operator; errors are problem JSON.
//
// Behind [AdminPathAccounts] follow "/{idOrName}" (GET -> AdminAccount), or that and one
// of the actions.
const (
	AdminPathAccounts   = "/admin/accounts"   // POST AddAccount -> AdminAccount; GET -> lines of AccountLine
	AdminPathImport     = "/admin/import"     // POST Import -> Imported
	AdminPathAudit      = "/admin/audit"      // POST -> Audit
	AdminPathCheckpoint = "/admin/checkpoint" // POST Checkpoint -> {}
	AdminPathStats      = "/admin/stats"      // GET -> Stats

	AdminActionRemove  = "remove"   // POST -> ChangedAccount
	AdminActionSuspend = "suspend"  // POST -> ChangedAccount
	AdminActionResume  = "resume"   // POST -> ChangedAccount
	AdminActionCredit  = "credit"   // POST Credit -> AdminAccount
	AdminActionAddKey  = "add-key"  // POST Key -> AdminAccount; the key before works as well from then on
	AdminActionDropKey = "drop-key" // POST Key, one of two -> ChangedAccount
)

// AddAccount asks for a new account in the truststore.
type AddAccount struct {
	Name   string `json:"name"`
	Role   string `json:"role"`   // "collector" or "analyst"
	Pin    string `json:"pin"`    // SHA-256 of the key's SubjectPublicKeyInfo, 64 hexadecimal digits
	Credit int64  `json:"credit"` // first grant, may be 0
}

// Import asks for up to [MaxImport] accounts, as AddAccount does for one.
type Import struct {
	Accounts []AddAccount `json:"accounts"`
}

// MaxImport is the most accounts of one import.
const MaxImport = 1000

// Imported says what became of an import.
type Imported struct {
	Added     int       `json:"added"`
	Unchanged int       `json:"unchanged"` // were there already, with this key, name and role; their credit was not granted again
	Refused   []Refusal `json:"refused"`
}

// Refusal is an account that was not imported.
type Refusal struct {
	Index  int    `json:"index"` // in the import
	Reason string `json:"reason"`
}

// AccountKey names one of an account's keys.
type AccountKey struct {
	Pin string `json:"pin"`
}

// Credit asks for a grant; a negative amount is a payout.
type Credit struct {
	Amount int64 `json:"amount"`
}

// Checkpoint asks for a copy of the ledger in a new folder.
type Checkpoint struct {
	Dir string `json:"dir"` // absolute path that does not exist yet
}

// AdminAccount is an account as its bank's operator sees it.
type AdminAccount struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	State    string    `json:"state"` // "active", "suspended" or "removed"
	Pin      string    `json:"pin"`
	OldPin   string    `json:"old_pin,omitempty"` // of the key before, if that still works
	Created  time.Time `json:"created"`
	Balance  int64     `json:"balance"`
	Granted  int64     `json:"granted"`
	Issued   int64     `json:"issued"`
	Redeemed int64     `json:"redeemed"`
	Returned int64     `json:"returned"`
	Refunded int64     `json:"refunded"`
}

// AccountLine is one line of the truststore: an account, or the end, without which the
// list is not whole.
type AccountLine struct {
	Account *AdminAccount `json:"account,omitempty"`
	End     *int64        `json:"end,omitempty"` // number of accounts
}

// TypeLines is the media type of JSON values one a line.
const TypeLines = "application/x-ndjson"

// ChangedAccount is an account some of whose keys open nothing any more.
type ChangedAccount struct {
	AdminAccount
	ConnectionsClosed int `json:"connections_closed"` // live connections of these keys that were cut
}

// Audit is the outcome of a full scan of the ledger. Its amounts obey
// granted = balances + live + returned + pending when OK is true.
type Audit struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"` // what is wrong; empty when OK
	Damaged  []int    `json:"damaged"`  // shards with coins that cannot be read
	Accounts int64    `json:"accounts"` // number of accounts, removed ones too
	Live     int64    `json:"live"`     // coins that can be redeemed
	Returned int64    `json:"returned"` // coins returned and not yet refunded
	Pending  int64    `json:"pending"`  // coins of withdrawals that are under way
	Granted  int64    `json:"granted"`
	Balances int64    `json:"balances"`
	Issued   int64    `json:"issued"`
	Redeemed int64    `json:"redeemed"`
	Refunded int64    `json:"refunded"`
}

// Stats are the bank's running counters, cheap to read. Coins count since the
// ledger was created, events since the bank was started.
type Stats struct {
	Live     int64 `json:"live"`     // coins that can be redeemed now
	Issued   int64 `json:"issued"`   // coins
	Redeemed int64 `json:"redeemed"` // coins
	Returned int64 `json:"returned"` // coins, refunded since or not
	Refunded int64 `json:"refunded"` // coins

	Retries      int64 `json:"retries"`       // redeems answered "redeemed before"
	DoubleSpends int64 `json:"double_spends"` // redeems answered "already redeemed"
	NotLive      int64 `json:"not_live"`      // coins answered "not live"
	Temporary    int64 `json:"temporary"`     // coins answered "temporary failure"
	Overloads    int64 `json:"overloads"`     // calls refused because too much was waiting
	LowDisk      int64 `json:"low_disk"`      // withdrawals refused because the disk is nearly full

	Corruptions int64 `json:"corruptions"` // damaged blocks met
	Batches     int64 `json:"batches"`     // batches decided by all shards
	BatchCoins  int64 `json:"batch_coins"` // coins in these batches

	Queued         int64 `json:"queued"`             // coins waiting or being committed now
	Indexed        int64 `json:"indexed"`            // live coins in the index now
	IndexBytes     int64 `json:"index_bytes"`        // memory of the index now
	Unflushed      int64 `json:"unflushed"`          // changed coins in the log and not yet in the store now
	DiskBytes      int64 `json:"disk_bytes"`         // bytes the ledger occupies now, its log included
	LogBytes       int64 `json:"log_bytes"`          // bytes its log occupies now
	BallastBytes   int64 `json:"ballast_bytes"`      // bytes of the file that is given up when the disk is full; 0 when it is
	ReadAmp        int   `json:"read_amplification"` // sorted runs that a lookup may have to visit
	CompactionDebt int64 `json:"compaction_debt"`    // bytes that compaction still has to rewrite, estimated
	Connections    int64 `json:"connections"`        // open client connections now

	Disks  []DiskStats  `json:"disks"`  // the bank's own folder first
	Shards []ShardStats `json:"shards"` // by index
}

// DiskStats says how things are on one disk of the ledger.
type DiskStats struct {
	Dir       string `json:"dir"`        // the ledger's folder on it, as the bank was told
	FreeBytes int64  `json:"free_bytes"` // available now; 0 when the system does not tell
}

// ShardStats are the counters of one part of the ledger.
type ShardStats struct {
	Live     int64 `json:"live"`     // coins that can be redeemed now
	Issued   int64 `json:"issued"`   // coins
	Redeemed int64 `json:"redeemed"` // coins
	Waiting  int64 `json:"waiting"`  // coins that wait for the shard's next batch now
	Damaged  int64 `json:"damaged"`  // coins answered "temporary failure" because their data is damaged
	Indexed  bool  `json:"indexed"`  // whether its live coins are in the index
}
