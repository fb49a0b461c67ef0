package plan

import (
	"math"
	"strconv"
	"strings"
)

// round is what every figure of a plan goes through before it is printed and before any
// other is calculated from it: whole numbers below a million stay as they are, all others
// keep four digits. So whoever calculates with what is printed gets what is printed.
func round(x float64) float64 {
	if x == math.Trunc(x) && math.Abs(x) < 1e6 {
		return x
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 3, 64), 64)
	if err != nil {
		return x // an infinity, which the sheet refuses
	}
	return y
}

// number writes a figure without losing any of its digits: 1,234,500 or 0.02408, and
// very large and small ones as 1.158e+77.
func number(x float64) string {
	if a := math.Abs(x); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	whole, fraction, has := strings.Cut(strconv.FormatFloat(x, 'f', -1, 64), ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if has {
		return whole + "." + fraction
	}
	return whole
}

// literalText writes a number of a formula: powers of ten from a million on as 10^6.
func literalText(x float64) string {
	for e := 6; e <= 18; e++ {
		if x == math.Pow10(e) {
			return "10^" + strconv.Itoa(e)
		}
	}
	return number(x)
}
