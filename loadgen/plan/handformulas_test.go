package plan

import "math"

type byName = func(get func(name string) float64) float64

func up(x float64) float64 { return math.Ceil(x - 1e-9*x) }

// hand has a formula for each calculated line, by section and name.
var hand = map[string]byName{
	"Measured, whatever the ledger|outside of the ledger": func(v func(string) float64) float64 {
		return v("CPU time of the bank a redeemed coin") - v("of it in the ledger, which was small there")
	},
	"Measured, whatever the ledger|outside of the ledger, xwing": func(v func(string) float64) float64 {
		rest := v("CPU time of the bank a redeemed coin") - v("of it in the ledger, which was small there") - v("opening a header of suite x25519")
		return max(0, rest) + v("opening a header of suite xwing")
	},
	"Measured, whatever the ledger|a withdrawn coin outside of the ledger": func(v func(string) float64) float64 {
		return v("making a coin and its fingerprint") + v("CPU time of a coin alone in its request")/v("coins of a withdrawal")
	},

	load + "live coins":             func(v func(string) float64) float64 { return v("devices") * v("live coins of a device") },
	load + "redeems a second, mean": func(v func(string) float64) float64 { return v("devices") * v("operations of a device a day") / 86400 },
	load + "redeems a second, peak": func(v func(string) float64) float64 { return v("redeems a second, mean") * v("peak over mean") },
	load + "withdrawn a second to refill": func(v func(string) float64) float64 {
		return v("live coins") / v("all coins withdrawn anew within") / 86400
	},
	load + "coins withdrawn a second, peak": func(v func(string) float64) float64 {
		return math.Max(v("redeems a second, peak"), v("withdrawn a second to refill"))
	},
	load + "connects a second, peak": func(v func(string) float64) float64 {
		return v("devices") * v("connects of a device a day") * v("peak over mean") / 86400
	},
	load + "connections held, peak": func(v func(string) float64) float64 {
		return v("connects a second, peak") * v("life of a connection")
	},
	load + "spent records of two windows": func(v func(string) float64) float64 {
		return 2 * v("redeems a second, peak") * v("spent records are kept, at least")
	},
	load + "CPU time of a connect": func(v func(string) float64) float64 {
		share := v("share of them that resume a session")
		return (1-share)*v("CPU time of a full handshake") + share*v("of a resumed one")
	},
	load + "cores for connects": func(v func(string) float64) float64 {
		return v("connects a second, peak") * v("CPU time of a connect") / 1e6
	},
	load + "bytes of a redeemed coin on the wire": func(v func(string) float64) float64 {
		return 12 + headerOf(v) + 49 + v("around a request and its answer")/v("headers of a redeem request")
	},
	load + "bytes of a withdrawn coin on the wire": func(v func(string) float64) float64 {
		return 32 + v("around a request and its answer")/v("coins of a withdrawal")
	},
	load + "network of the banks, both directions": func(v func(string) float64) float64 {
		bytes := v("redeems a second, peak")*v("bytes of a redeemed coin on the wire") +
			v("coins withdrawn a second, peak")*v("bytes of a withdrawn coin on the wire") + v("connects a second, peak")*v("a handshake")
		return 8 * bytes / 1e9
	},
	load + "bytes of an operation and its reply": func(v func(string) float64) float64 {
		return 2*v("a reading, and its result") + 128 + headerOf(v)
	},
	load + "network of all directors, in and out": func(v func(string) float64) float64 {
		return 16 * v("redeems a second, peak") * v("bytes of an operation and its reply") / 1e9
	},

	sizes + "coins of a device (the notes said 32 bytes)": func(v func(string) float64) float64 { return 32 * v("live coins of a device") },
	sizes + "all coins of 256 bits, one copy":             func(v func(string) float64) float64 { return 32 * v("live coins") / 1e12 },
	sizes + "the same as 16-byte keys of the ledger":      func(v func(string) float64) float64 { return 16 * v("live coins") / 1e12 },
	sizes + "possible coins (they said 10^64)":            func(func(string) float64) float64 { return 1.157920892373162e77 },
	sizes + "10^15 s in years (they said 3 years)":        func(func(string) float64) float64 { return 1e15 / 31557600 },
	sizes + "one guess meets a live fingerprint":          func(v func(string) float64) float64 { return v("live coins") / 3.402823669209385e38 },

	curve + "connections at the highest rate": func(v func(string) float64) float64 {
		return math.Sqrt((1 - v("sigma: share that waits for others")) / v("kappa: cost of keeping in step"))
	},
	curve + "rate there, X(N)": func(v func(string) float64) float64 {
		n := v("connections at the highest rate")
		if math.IsNaN(n) { // no peak
			n = v("most connections that were measured")
		}
		return v("lambda: rate of one connection") * n / (1 + v("sigma: share that waits for others")*(n-1) + v("kappa: cost of keeping in step")*n*(n-1))
	},

	sqlSection + "CPU time of a bank a redeemed coin": func(v func(string) float64) float64 { return outside(v) + v("of a bank to ask it, a redeem") },
	sqlSection + "CPU time of a bank a withdrawn coin": func(v func(string) float64) float64 {
		return v("a withdrawn coin outside of the ledger") + v("of a bank to ask it, a withdrawn coin")
	},
	sqlSection + "cores of the banks, peak": func(v func(string) float64) float64 {
		return v("redeems a second, peak")*v("CPU time of a bank a redeemed coin")/1e6 +
			v("coins withdrawn a second, peak")*v("CPU time of a bank a withdrawn coin")/1e6 + v("cores for connects")
	},
	sqlSection + "nodes for bank cores": func(v func(string) float64) float64 {
		return up(v("cores of the banks, peak") / v("cores") / v("planned core over measured core") / v("share of the highest rate that a peak takes"))
	},
	sqlSection + "nodes for connects":     nodesForConnects,
	sqlSection + "memory for connections": memoryForConnections,
	sqlSection + "nodes for bank memory": func(v func(string) float64) float64 {
		return up(v("memory for connections") / (v("memory") * v("share of memory that may be used")))
	},
	sqlSection + "nodes for bank network": func(v func(string) float64) float64 {
		return up(v("network of the banks, both directions") / v("network") / v("share of the highest rate that a peak takes"))
	},
	sqlSection + "nodes for bank connections": nodesForConnections,
	sqlSection + "nodes for banks": func(v func(string) float64) float64 {
		return max(v("nodes for bank cores"), v("nodes for connects"), v("nodes for bank memory"), v("nodes for bank network"), v("nodes for bank connections"))
	},
	sqlSection + "cores of one copy, peak": func(v func(string) float64) float64 {
		return (v("redeems a second, peak")*v("CPU time of the engine a redeem") + v("coins withdrawn a second, peak")*v("CPU time of the engine a withdrawn coin")) / 1e6
	},
	sqlSection + "nodes for cores": func(v func(string) float64) float64 {
		return up(v("cores of one copy, peak") / v("cores") / v("planned core over measured core") / v("share of the highest rate that a peak takes"))
	},
	sqlSection + "rows and spent rows of one copy": func(v func(string) float64) float64 {
		return (v("live coins")*v("disk of a live coin and its key") + v("spent records of two windows")*v("disk of a spent record and its key")) / 1e12
	},
	sqlSection + "nodes for disk space": func(v func(string) float64) float64 {
		return up(v("rows and spent rows of one copy") / v("disks") / v("a disk") / v("share of a disk that may be full"))
	},
	sqlSection + "log of one copy, peak": func(v func(string) float64) float64 {
		return moved(v) * v("log of a redeem or a withdrawn coin") / 1e6
	},
	sqlSection + "nodes for disk writes": func(v func(string) float64) float64 {
		return up(v("log of one copy, peak") / diskPower(v, "synced writes of a disk"))
	},
	sqlSection + "nodes for disk reads": func(v func(string) float64) float64 {
		return up(v("redeems a second, peak") * v("random reads of a redeem") / diskPower(v, "random reads of a disk"))
	},
	sqlSection + "network, log to the other copies": func(v func(string) float64) float64 {
		return v("log of one copy, peak") * (v("copies of what is stored") - 1) * 0.008
	},
	sqlSection + "nodes for network": func(v func(string) float64) float64 {
		return up(v("network, log to the other copies") / v("network") / v("share of the highest rate that a peak takes"))
	},
	sqlSection + "nodes of one copy": func(v func(string) float64) float64 {
		return max(v("nodes for cores"), v("nodes for disk space"), v("nodes for disk writes"), v("nodes for disk reads"), v("nodes for network"))
	},
	sqlSection + "nodes of the engine":            func(v func(string) float64) float64 { return v("nodes of one copy") * v("copies of what is stored") },
	sqlSection + "nodes, engine and banks":        func(v func(string) float64) float64 { return v("nodes of the engine") + v("nodes for banks") },
	sqlSection + "their cores":                    func(v func(string) float64) float64 { return v("nodes, engine and banks") * v("cores") },
	sqlSection + "their memory":                   func(v func(string) float64) float64 { return v("nodes, engine and banks") * v("memory") / 1000 },
	sqlSection + "their disks":                    func(v func(string) float64) float64 { return v("nodes, engine and banks") * v("disks") * v("a disk") },
	sqlSection + "cost a month":                   func(v func(string) float64) float64 { return v("nodes, engine and banks") * v("price a month") },
	sqlSection + "of it for a million live coins": costOfCoins,
	sqlSection + "and for a million redeems":      costOfRedeems,
	sqlSection + "rows of an engine's node":       func(v func(string) float64) float64 { return v("live coins") / v("nodes of one copy") },
	sqlSection + "redeems a second of an engine's node": func(v func(string) float64) float64 {
		return v("redeems a second, peak") / v("nodes of one copy")
	},
	sqlSection + "connections of a bank's node, peak": func(v func(string) float64) float64 { return v("connections held, peak") / v("nodes for banks") },
	sqlSection + "memory of a node's connections": func(v func(string) float64) float64 {
		return v("connections of a bank's node, peak") * v("memory of an idle connection") / 1e9
	},
	sqlSection + "redeems a second of a bank's node, peak": func(v func(string) float64) float64 {
		return v("redeems a second, peak") / v("nodes for banks")
	},
	sqlSection + "written to the disks a day": func(v func(string) float64) float64 {
		return 4 * 86400 * v("redeems a second, mean") * v("log of a redeem or a withdrawn coin") * v("copies of what is stored") / 1e12
	},
	sqlSection + "drive writes a day (DWPD)": func(v func(string) float64) float64 {
		return v("written to the disks a day") / (v("nodes of the engine") * v("disks") * v("a disk"))
	},
	sqlSection + "an analyst waits for a request's headers": func(v func(string) float64) float64 {
		return v("headers of a redeem request") * v("analysts") / v("redeems a second, mean")
	},
	sqlSection + "refill of all coins, by cores": func(v func(string) float64) float64 {
		in, out := v("CPU time of the engine a withdrawn coin"), v("CPU time of the engine a redeem")
		spare := v("nodes of one copy")*v("cores")*v("planned core over measured core")*v("share of the highest rate that a peak takes") -
			v("redeems a second, peak")*out/1e6/v("peak over mean")
		return v("live coins") * in / 1e6 / max(spare, v("coins withdrawn a second, peak")*in/1e6) / 86400
	},
	sqlSection + "by disk writes": func(v func(string) float64) float64 {
		return v("live coins") * v("log of a redeem or a withdrawn coin") / 1e6 / (v("nodes of one copy") * diskPower(v, "synced writes of a disk")) / 86400
	},
	sqlSection + "refill of all coins": func(v func(string) float64) float64 {
		return max(v("refill of all coins, by cores"), v("by disk writes"))
	},
	sqlSection + "loading a node anew": func(v func(string) float64) float64 {
		return v("rows of an engine's node") / v("coins inserted a second") / 3600
	},

	indexSection + "memory for index and connections": func(v func(string) float64) float64 {
		return (v("live coins")*v("index of a live coin") + v("connections held, peak")*v("memory of an idle connection")) / 1e9
	},
	indexSection + "nodes for memory": func(v func(string) float64) float64 {
		return up(v("memory for index and connections") / (v("memory")*v("share of memory that may be used") - v("memory of a node beside it")))
	},
	indexSection + "nodes": func(v func(string) float64) float64 {
		return max(v("nodes for cores"), v("nodes for connects"), v("nodes for memory"), v("nodes for disk space"), v("nodes for disk writes"), v("nodes for network"), v("nodes for connections"))
	},
	plainSection + "memory for connections": memoryForConnections,
	plainSection + "nodes for memory": func(v func(string) float64) float64 {
		return up(v("memory for connections") / (v("memory") * v("share of memory that may be used")))
	},
	plainSection + "nodes": func(v func(string) float64) float64 {
		return max(v("nodes for cores"), v("nodes for connects"), v("nodes for memory"), v("nodes for disk space"), v("nodes for disk writes"), v("nodes for disk reads"),
			v("nodes for network"), v("nodes for connections"))
	},
}

const (
	load         = "What the fleet asks for|"
	sizes        = "Sizes and chances, the first notes put right|"
	curve        = "Concurrency of the measured machine (Universal Scalability Law)|"
	indexSection = "Pebble banks side by side, index of live coins in memory|"
	plainSection = "Pebble banks side by side, coins looked up on disk|"
	sqlSection   = "Banks in front of an SQL engine; measured on one PostgreSQL|"
)

// handPebble has the lines of both Pebble ledgers, by name.
var handPebble = map[string]byName{
	"CPU time of a redeemed coin": func(v func(string) float64) float64 {
		return outside(v) + v("CPU time a redeem, compactions too")
	},
	"CPU time of a withdrawn coin": func(v func(string) float64) float64 {
		return v("a withdrawn coin outside of the ledger") + v("CPU time a redeem, compactions too")
	},
	"cores for redeems, peak": func(v func(string) float64) float64 {
		return v("redeems a second, peak") * v("CPU time of a redeemed coin") / 1e6
	},
	"cores for withdrawals, peak": func(v func(string) float64) float64 {
		return v("coins withdrawn a second, peak") * v("CPU time of a withdrawn coin") / 1e6
	},
	"cores, peak": func(v func(string) float64) float64 {
		return v("cores for redeems, peak") + v("cores for withdrawals, peak") + v("cores for connects")
	},
	"nodes for cores": func(v func(string) float64) float64 {
		return up(v("cores, peak") / v("cores") / v("planned core over measured core") / v("share of the highest rate that a peak takes"))
	},
	"nodes for cores at the band's low end": func(v func(string) float64) float64 {
		return up(v("nodes for cores") * v("rate there, X(N)") / v("low end of its band"))
	},
	"tables of all copies": func(v func(string) float64) float64 {
		once := v("live coins")*v("disk of a live coin") + v("spent records of two windows")*v("disk of a spent record")
		return once * v("copies of what is stored") / 1e12
	},
	"nodes for disk space": func(v func(string) float64) float64 {
		return up(v("tables of all copies") / v("disks") / v("a disk") / v("share of a disk that may be full"))
	},
	"written by redeems and withdrawals, peak": func(v func(string) float64) float64 {
		return moved(v) * v("bytes written over 16 a redeem") * 16 / 1e6
	},
	"nodes for disk writes": func(v func(string) float64) float64 {
		return up(v("written by redeems and withdrawals, peak") * v("copies of what is stored") / diskPower(v, "synced writes of a disk"))
	},
	"nodes for disk reads": func(v func(string) float64) float64 {
		return up(v("redeems a second, peak") / diskPower(v, "random reads of a disk"))
	},
	"network, copies on other nodes": func(v func(string) float64) float64 {
		return v("network of the banks, both directions") + v("written by redeems and withdrawals, peak")*(v("copies of what is stored")-1)*0.016
	},
	"nodes for network": func(v func(string) float64) float64 {
		return up(v("network, copies on other nodes") / v("network") / v("share of the highest rate that a peak takes"))
	},
	"nodes for connects":             nodesForConnects,
	"nodes for connections":          nodesForConnections,
	"their cores":                    func(v func(string) float64) float64 { return v("nodes") * v("cores") },
	"their memory":                   func(v func(string) float64) float64 { return v("nodes") * v("memory") / 1000 },
	"their disks":                    func(v func(string) float64) float64 { return v("nodes") * v("disks") * v("a disk") },
	"cost a month":                   func(v func(string) float64) float64 { return v("nodes") * v("price a month") },
	"of it for a million live coins": costOfCoins,
	"and for a million redeems":      costOfRedeems,
	"live coins of a node":           func(v func(string) float64) float64 { return v("live coins") / v("nodes") },
	"redeems a second of a node, peak": func(v func(string) float64) float64 {
		return v("redeems a second, peak") / v("nodes")
	},
	"connects a second of a node, peak": func(v func(string) float64) float64 { return v("connects a second, peak") / v("nodes") },
	"connections of a node, peak":       func(v func(string) float64) float64 { return v("connections held, peak") / v("nodes") },
	"memory of a node's connections": func(v func(string) float64) float64 {
		return v("connections of a node, peak") * v("memory of an idle connection") / 1e9
	},
	"stored on a node, copies of others too": func(v func(string) float64) float64 { return v("tables of all copies") / v("nodes") },
	"index of a node": func(v func(string) float64) float64 {
		return v("live coins of a node") * v("index of a live coin") / 1e9
	},
	"coins a sync of a disk carries, peak": func(v func(string) float64) float64 {
		return moved(v) / v("nodes") / v("disks") / v("syncs of a disk") / v("planned disk over measured disk")
	},
	"written to the disks a day": func(v func(string) float64) float64 {
		return 2 * 86400 * v("redeems a second, mean") * 16 * v("bytes written over 16 a redeem") * v("copies of what is stored") / 1e12
	},
	"drive writes a day (DWPD)": func(v func(string) float64) float64 {
		return v("written to the disks a day") / (v("nodes") * v("disks") * v("a disk"))
	},
	"an analyst waits for a request's headers": func(v func(string) float64) float64 {
		return v("headers of a redeem request") * v("nodes") * v("analysts") / v("redeems a second, mean")
	},
	"refill of all coins, by cores": func(v func(string) float64) float64 {
		spare := v("nodes")*v("cores")*v("planned core over measured core")*v("share of the highest rate that a peak takes") -
			(v("cores for redeems, peak")+v("cores for connects"))/v("peak over mean")
		return v("live coins") * v("CPU time of a withdrawn coin") / 1e6 / max(spare, v("cores for withdrawals, peak")) / 86400
	},
	"by disk writes": func(v func(string) float64) float64 {
		bytes := v("live coins") * 16 * v("bytes written over 16 a redeem") * v("copies of what is stored")
		return bytes / 1e6 / (v("nodes") * diskPower(v, "synced writes of a disk")) / 86400
	},
	"refill of all coins": func(v func(string) float64) float64 {
		return max(v("refill of all coins, by cores"), v("by disk writes"))
	},
	"loading a node anew": func(v func(string) float64) float64 {
		return v("live coins of a node") / v("coins loaded a second") / 3600
	},
	"audit of a node": func(v func(string) float64) float64 {
		return v("live coins of a node") * v("audit") / v("live coins when it was measured") / 3600
	},
	"index of a node read after a start": func(v func(string) float64) float64 {
		return v("live coins of a node") * v("index read after a start") / v("live coins when it was measured") / 3600
	},
}

func moved(v func(string) float64) float64 {
	return v("redeems a second, peak") + v("coins withdrawn a second, peak")
}

func diskPower(v func(string) float64, what string) float64 {
	return v("disks") * v(what) * v("planned disk over measured disk") * v("share of the highest rate that a peak takes")
}

func memoryForConnections(v func(string) float64) float64 {
	return v("connections held, peak") * v("memory of an idle connection") / 1e9
}

func nodesForConnections(v func(string) float64) float64 {
	return up(v("connections held, peak") / v("most connections of a node"))
}

func nodesForConnects(v func(string) float64) float64 {
	return up(v("cores for connects") / (v("cores") * v("planned core over measured core") * v("share of the highest rate that a peak takes")))
}

func costOfCoins(v func(string) float64) float64 { return v("cost a month") * 1e6 / v("live coins") }

func costOfRedeems(v func(string) float64) float64 {
	return v("cost a month") * 1e6 / (v("redeems a second, mean") * 30 * 86400)
}

func headerOf(v func(string) float64) float64 { return v("header") }

func outside(v func(string) float64) float64 {
	if x := v("outside of the ledger, xwing"); !math.IsNaN(x) {
		return x
	}
	return v("outside of the ledger")
}
