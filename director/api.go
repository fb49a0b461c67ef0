package director

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/problem"
)

// Paths and media types of the interface.
const (
	operationsPath = "/v1/operations/"
	analystsPath   = "/v1/analysts/"
	analysesPath   = "/v1/analyses"

	contentTypeMessage = "application/octet-stream"
	contentTypeJSON    = "application/json"
)

// ServeHTTP is the director's whole interface. Paths are compared as they were
// sent: no name needs escaping, so none may be.
func (d *Director) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	analysis, isOperation := strings.CutPrefix(path, operationsPath)
	id, isAnalyst := strings.CutPrefix(path, analystsPath)
	var p *problem.Problem
	switch {
	case isOperation && !core.ValidName(analysis), isAnalyst && !core.ValidName(id):
		p = problem.New(http.StatusNotFound, "the last part of the path must be a name: 1 to 64 of a-z 0-9 . _ -, first a letter or digit")
	case isOperation:
		if p = allow(w, r, contentTypeMessage, http.MethodPost); p == nil {
			p = d.operation(w, r, analysis)
		}
	case isAnalyst && r.Method == http.MethodDelete:
		p = d.unregister(w, r, id)
	case isAnalyst:
		if p = allow(w, r, contentTypeJSON, http.MethodPut, http.MethodDelete); p == nil {
			p = d.register(w, r, id)
		}
	case path == analysesPath:
		if p = allow(w, r, "", http.MethodGet, http.MethodHead); p == nil {
			d.analyses(w)
		}
	default:
		p = problem.New(http.StatusNotFound, "a director has /v1/operations/{analysis}, /v1/analysts/{id} and /v1/analyses")
	}
	if p != nil {
		problem.Write(w, p)
	}
}

// allow checks a request's method and, unless contentType is "", its media type.
func allow(w http.ResponseWriter, r *http.Request, contentType string, methods ...string) *problem.Problem {
	list := strings.Join(methods, ", ")
	ok := false
	for _, m := range methods {
		ok = ok || r.Method == m
	}
	if !ok {
		w.Header().Set("Allow", list)
		return problem.New(http.StatusMethodNotAllowed, "use "+list)
	}
	if contentType == "" {
		return nil
	}
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != contentType {
		return problem.New(http.StatusUnsupportedMediaType, "the Content-Type must be "+contentType)
	}
	return nil
}

// caller is the pin of the request's client certificate.
func caller(r *http.Request) pin { return identity.PinOf(r.TLS.PeerCertificates[0]) }

func (d *Director) operation(w http.ResponseWriter, r *http.Request, analysis string) *problem.Problem {
	request, p := d.bodies.read(r, d.o.MaxBody)
	defer d.bodies.release(request)
	if p != nil {
		return p
	}
	if _, err := core.ParseRequest(request.b); err != nil {
		return problem.New(http.StatusBadRequest, err.Error())
	}
	select {
	case d.slots <- struct{}{}: // after the body: who sends none, or sends it slowly, keeps nobody out
		defer func() { <-d.slots }()
	default:
		return overload("the director is full; nothing was sent to an analyst: try later, with a new coin")
	}
	a, p := d.relay(r.Context(), analysis, request.b)
	if p != nil {
		return p
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	} else {
		w.Header()["Content-Type"] = nil // net/http would guess one
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a collector that is gone asks the bank
	return nil
}

func (d *Director) register(w http.ResponseWriter, r *http.Request, id string) *problem.Problem {
	body, p := d.bodies.read(r, maxRegistration)
	defer d.bodies.release(body)
	if p != nil {
		return p
	}
	reg, err := parseRegistration(body.b)
	if err != nil {
		return problem.New(http.StatusBadRequest, err.Error())
	}
	if err := d.registry.register(id, caller(r), reg); err != nil {
		return leaseProblem(err)
	}
	writeJSON(w, struct {
		LeaseSeconds int `json:"lease_seconds"`
	}{int(leaseTime.Seconds())})
	return nil
}

func (d *Director) unregister(w http.ResponseWriter, r *http.Request, id string) *problem.Problem {
	if err := d.registry.unregister(id, caller(r)); err != nil {
		return leaseProblem(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// leaseProblem maps what the registry refuses to what is said.
func leaseProblem(err error) *problem.Problem {
	switch {
	case errors.Is(err, errTaken):
		return problem.New(http.StatusConflict, err.Error()+"; choose another id, or wait 15 s")
	case errors.Is(err, errNoLease):
		return problem.New(http.StatusNotFound, err.Error())
	}
	return overload(err.Error())
}

func (d *Director) analyses(w http.ResponseWriter) {
	writeJSON(w, struct {
		Analyses []offer `json:"analyses"`
	}{d.registry.list()})
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil { // plain structs: cannot fail
		panic("director: " + err.Error())
	}
	w.Header().Set("Content-Type", contentTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
