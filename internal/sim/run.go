package sim

import (
	"ecoin/core"
	"ecoin/ledger"
)

// live is one life: it opens the ledger, lets clients settle what they do not know,
// checks everything, and goes on until something ends it or *steps are used up.
func (p *process) live(steps *int) *ending {
	w := p.w
	var t *trap
	if w.started {
		t = w.nextBootTrap()
	}
	if end := p.boot(t); end != nil {
		return end
	}
	if !w.started {
		w.started = true
		p.found()
	}
	if a := p.audit(p.l); a.Pending != 0 && (t == nil || t.action != fail) {
		violated("audit: %d coins of interrupted withdrawals after opening", a.Pending)
	}
	for _, o := range w.doubts {
		if w.accounts[o.acc].id != (ledger.AccountID{}) {
			p.recall(o.acc)
		}
	}
	p.settleAll()
	p.check()
	for n := 20 + w.rng.IntN(120); n > 0 && *steps > 0; n-- {
		*steps--
		if end := p.step(); end != nil {
			return end
		}
	}
	w.trace.add("close")
	end := p.closed(nil)
	l := w.nextLoss()
	w.trace.add("power lost after closing, the disk keeps %v", l)
	end.disk = p.disk.image(l)
	return end
}

// found makes the first accounts, and coins that do not exist.
func (p *process) found() {
	w := p.w
	for i := range 24 {
		o := w.newAccount([]ledger.Role{ledger.RoleCollector, ledger.RoleAnalyst}[i%2])
		p.ask(o)
		if i%2 == 0 {
			p.ask(&op{kind: grant, acc: o.acc, amount: 500})
		}
	}
	for full := 0; full < len(w.shards); {
		secret := core.Coin(w.fresh())
		fp := w.mint.Fingerprint(&secret)
		s := shardOf(fp, len(w.shards))
		if len(w.shards[s]) == ghosts {
			continue
		}
		w.newCoin(secret, state{}, w.rng.IntN(2) == 0)
		if len(w.shards[s]) == ghosts {
			full++
		}
	}
}

// ask sends a call to a process that nothing disturbs, and takes in its answer.
func (p *process) ask(o *op) {
	p.w.send(o, p.l)
	p.undisturbed(o)
	p.hear([]*op{o})
}

// hear takes in the answers that are there, in the order in which the calls were sent.
func (p *process) hear(ops []*op) {
	for i, o := range ops {
		if o.heard || !o.answered() {
			continue
		}
		for _, earlier := range ops[:i] {
			if !earlier.heard {
				p.w.expect(earlier) // this answer may show it
			}
		}
		p.w.learn(o)
		p.w.trace.add("%v ->%s", o, o.told(p.w, false))
	}
}

// lose takes in that the other answers will not come.
func (p *process) lose(ops []*op) {
	for _, o := range ops {
		if !o.heard {
			p.w.trace.add("%v -> lost", o)
			p.w.lose(o)
		}
	}
}

// settle asks again for the oldest call whose answer was lost. Afterwards the client
// knows what it did.
func (p *process) settle() {
	w := p.w
	o := w.doubts[0]
	w.doubts = w.doubts[1:]
	again := w.again(o)
	w.send(again, p.l)
	p.undisturbed(again)
	w.learn(again)
	w.trace.add("again %v ->%s", again, again.told(w, !o.narrow()))
}

// recall compares an account with what an earlier process showed of it, before anybody
// asks again and makes up for what was lost. The trace does not show it: what came
// through of a call to several shards may differ.
func (p *process) recall(acc int) {
	o := &op{kind: look, acc: acc}
	p.w.send(o, p.l)
	p.undisturbed(o)
	p.w.learn(o)
}

func (p *process) settleAll() {
	for len(p.w.doubts) > 0 {
		p.settle()
	}
}

// turn lets the ledger begin the windows that are due. While it syncs the end of the old
// ones others wait for a lock, and such waiting does not count as quiet.
func (p *process) turn() {
	if p.turned {
		return
	}
	p.turned = true
	w := p.w
	p.ask(&op{kind: redeem, acc: w.account(ledger.RoleAnalyst), coins: []*coin{w.shards[0][0]}, header: []int{0}})
	p.ask(w.newWithdraw(1))
}

// step is one thing that happens.
func (p *process) step() *ending {
	w := p.w
	switch x := w.rng.IntN(100); {
	case x < 5:
		p.settleAll() // nobody asks only after it was forgotten
		d := w.nextStep()
		w.trace.add("clock %v", d)
		p.advance(d)
		if w.rng.IntN(3) == 0 {
			if o := w.nextForgotten(); o != nil {
				p.ask(o)
			}
			return p.outage()
		}
	case x < 6:
		return p.background()
	case x < 8:
		p.audit(p.l)
	case x < 16 && len(w.doubts) > 0:
		p.settle()
	case x < 28:
		return p.trapped(w.nextWave(p.ask))
	case x < 33:
		p.readFault(w.next())
	case x < 40:
		return p.trapped([]*op{w.next()})
	case x < 48:
		o := w.next()
		w.send(o, p.l)
		p.undisturbed(o)
		p.lose([]*op{o})
	default:
		p.ask(w.next())
	}
	return nil
}

// outage ends a process that has answered everything.
func (p *process) outage() *ending {
	l := p.w.nextLoss()
	p.w.trace.add("power lost at rest, the disk keeps %v", l)
	return p.closed(p.disk.image(l))
}

// background lets background work come about that waits for its time, such as the flush
// after old windows were dropped, with an error now and then.
func (p *process) background() *ending {
	w := p.w
	var t *trap
	if w.rng.IntN(2) == 0 {
		t = &trap{op: pick(w, []string{"write", "sync"}), class: pick(w, []string{"table", "manifest"}), n: 1, action: fail, times: 1}
		w.trace.add("fail %s %s", t.op, t.class)
		p.harm = true
	}
	w.trace.add("quiet time")
	p.disk.arm(t)
	if p.rest() {
		return p.dead()
	}
	p.disk.arm(nil)
	p.harm = false
	return nil
}

// readFault lets a few reads of tables fail under a call to one shard.
func (p *process) readFault(o *op) {
	w := p.w
	if !o.narrow() {
		p.ask(o)
		return
	}
	t := &trap{op: "read", class: "table", n: 1 + w.rng.IntN(3), action: fail, times: 1 + w.rng.IntN(3)}
	p.disk.arm(t)
	w.send(o, p.l)
	p.undisturbed(o)
	p.disk.arm(nil)
	w.readFaults = t.caught()
	defer func() { w.readFaults = false }()
	w.trace.add("reads fail: %t", w.readFaults)
	if w.readFaults && o.ans.err != nil && !isNamed(o.ans.err) {
		p.lose([]*op{o})
		p.settleAll()
		return
	}
	p.hear([]*op{o})
}

// trapped sends calls one after the other while the disk holds a write or sync of the
// log, and then decides what becomes of it.
func (p *process) trapped(ops []*op) *ending {
	w := p.w
	if len(ops) > 1 || !ops[0].narrow() {
		p.turn()
	}
	t := &trap{op: pick(w, []string{"sync", "sync", "write"}), class: "log", action: hold, n: 1}
	if len(ops) == 1 {
		// Only the first write of a call to several shards is certain; of a withdrawal's
		// later ones it does not matter which they are.
		switch {
		case ops[0].narrow():
			t.n = 1 + w.rng.IntN(4)
		case ops[0].kind == withdraw:
			t.n = 1 + w.rng.IntN(2)
		}
	}
	w.trace.add("hold %s %d", t.op, t.n)
	p.disk.arm(t)
	sent := ops[:0:0]
	for _, o := range ops {
		if len(ops) > 1 && o.kind == withdraw && !t.caught() {
			continue // its second write must come after all others
		}
		sent = append(sent, o)
		w.send(o, p.l)
		if p.quiet() {
			violated("%v: the process died undisturbed", o)
		}
	}
	if t.caught() && len(ops) > 1 && w.rng.IntN(2) == 0 {
		// Let it through; all the others are in the next write.
		next := &trap{op: "sync", class: "log", action: hold, n: 1}
		p.disk.arm(next)
		p.disk.release(t, hold)
		if p.quiet() {
			violated("the process died undisturbed")
		}
		t = next
		w.trace.add("hold the next sync")
	}
	p.hear(sent)
	if !t.caught() {
		p.disk.arm(nil)
		for _, o := range sent {
			if !o.heard {
				violated("%v: not answered, and the disk is not asked", o)
			}
		}
		w.trace.add("not reached")
		return nil
	}
	switch x := w.rng.IntN(10); {
	case x < 4: // power loss, or the end of the process
		l := w.nextLoss()
		w.trace.add("power lost, the disk keeps %v", l)
		im := p.disk.image(l)
		p.lose(sent)
		p.disk.release(t, hold)
		return p.closed(im)
	case x < 6:
		a := pick(w, []action{fail, breakDown})
		w.trace.add("%v", a)
		p.harm = true
		p.disk.release(t, a)
		for _, o := range sent {
			if !o.heard && p.wait(o, o.done) {
				p.lose(sent)
				return p.dead()
			}
		}
		violated("%v: answered although a %s of the log failed", sent, t.op)
	}
	p.disk.release(t, hold)
	for _, o := range sent {
		p.undisturbed(o)
	}
	p.hear(sent)
	return nil
}
