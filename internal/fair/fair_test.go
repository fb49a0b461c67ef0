package fair

import "testing"

// TestShare lets more and more holders take all they can get.
func TestShare(t *testing.T) {
	s := New[int](60_000)
	flood := func(holder int) (n int) {
		for s.Take(holder, 100) {
			n += 100
		}
		return n
	}
	if got := flood(1); got != 30_000 {
		t.Errorf("one alone has %d, want half", got)
	}
	if got := flood(2); got != 15_000 {
		t.Errorf("the second has %d, want half of what was left", got)
	}
	s.Give(1, 10_000)
	s.Give(2, 1_000)
	if a, b := flood(2), flood(1); a != 6_000 || b != 0 {
		t.Errorf("then the second takes %d more, the first %d; want 20,000 each and as much left", a, b)
	}
	if !s.Take(3, 10_000) {
		t.Error("somebody who needs little gets nothing")
	}
	if s.Take(3, 1) {
		t.Error("more than is left")
	}
	if s.InUse() != 50_000 {
		t.Errorf("%d in use", s.InUse())
	}
	s.Give(1, 20_000)
	s.Give(2, 20_000)
	s.Give(3, 10_000)
	if s.InUse() != 0 || len(s.by) != 0 {
		t.Errorf("%d in use, %d holders known when all is given back", s.InUse(), len(s.by))
	}
}
