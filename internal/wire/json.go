package wire

// Account is the answer to GET [PathAccount]: the caller's own account. Amounts
// count coins of credit; balance = granted - issued + redeemed - returned + refunded.
type Account struct {
	ID       string `json:"id"` // 32 lower-case hexadecimal digits
	Name     string `json:"name"`
	Role     string `json:"role"` // "collector" or "analyst"
	Balance  int64  `json:"balance"`
	Granted  int64  `json:"granted"`
	Issued   int64  `json:"issued"`
	Redeemed int64  `json:"redeemed"`
	Returned int64  `json:"returned"`
	Refunded int64  `json:"refunded"`
}

// Keys is the answer to GET [PathKeys]: every active key of the bank.
type Keys struct {
	Keys []Key `json:"keys"`
}

// Key is one public key of a bank.
type Key struct {
	Suite     string `json:"suite"`      // name of the suite, as "x25519"
	KeyID     string `json:"key_id"`     // 16 lower-case hexadecimal digits
	PublicKey string `json:"public_key"` // standard base64 with padding
	URL       string `json:"url"`        // of the bank that opens what is sealed for this key
}
