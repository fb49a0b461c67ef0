package plan

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strconv"
	"strings"
)

// A formula is an expression in Go's syntax over the keys of lines, numbers, + - * /
// and functions. It is what is calculated and what is printed: the two cannot differ.
type formula struct{ expr ast.Expr }

// functions of formulas, by number of arguments: -1 is any but none.
var functions = map[string]struct {
	args int
	call func(x []float64) float64
}{
	"ceil": {1, func(x []float64) float64 { return ceil(x[0]) }},
	"sqrt": {1, func(x []float64) float64 { return math.Sqrt(x[0]) }},
	"pow":  {2, func(x []float64) float64 { return math.Pow(x[0], x[1]) }},
	"max": {-1, func(x []float64) float64 {
		most := x[0]
		for _, v := range x[1:] {
			most = max(most, v)
		}
		return most
	}},
}

// ceil rounds up. What is above a whole number by less than the arithmetic's error counts
// as that number.
func ceil(x float64) float64 { return math.Ceil(x - 1e-9*math.Abs(x)) }

// parseFormula parses what it can evaluate and print, and nothing else.
func parseFormula(s string) (formula, error) {
	expr, err := parser.ParseExpr(s)
	if err != nil {
		return formula{}, fmt.Errorf("formula %q: %w", s, err)
	}
	f := formula{expr}
	if err := check(expr); err != nil {
		return formula{}, fmt.Errorf("formula %q: %w", s, err)
	}
	return f, nil
}

func check(e ast.Expr) error {
	switch e := e.(type) {
	case *ast.Ident:
		return nil
	case *ast.BasicLit:
		_, err := literal(e)
		return err
	case *ast.ParenExpr:
		return check(e.X)
	case *ast.BinaryExpr:
		if _, known := operators[e.Op]; !known {
			return fmt.Errorf("operator %s", e.Op)
		}
		if err := check(e.X); err != nil {
			return err
		}
		return check(e.Y)
	case *ast.CallExpr:
		name, _ := e.Fun.(*ast.Ident)
		if name == nil {
			return fmt.Errorf("call of %T", e.Fun)
		}
		f, known := functions[name.Name]
		if !known || len(e.Args) == 0 || f.args >= 0 && f.args != len(e.Args) {
			return fmt.Errorf("call of %s with %d arguments", name.Name, len(e.Args))
		}
		for _, a := range e.Args {
			if err := check(a); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%T", e)
}

var operators = map[token.Token]string{token.ADD: " + ", token.SUB: " - ", token.MUL: " x ", token.QUO: " / "}

func literal(e *ast.BasicLit) (float64, error) {
	if e.Kind != token.INT && e.Kind != token.FLOAT {
		return 0, fmt.Errorf("literal %s", e.Value)
	}
	return strconv.ParseFloat(e.Value, 64)
}

// eval calculates; value gives the value of a key.
func (f formula) eval(value func(key string) float64) float64 {
	var eval func(e ast.Expr) float64
	eval = func(e ast.Expr) float64 {
		switch e := e.(type) {
		case *ast.Ident:
			return value(e.Name)
		case *ast.BasicLit:
			v, _ := literal(e) // checked when parsed
			return v
		case *ast.ParenExpr:
			return eval(e.X)
		case *ast.CallExpr:
			var args []float64
			for _, a := range e.Args {
				args = append(args, eval(a))
			}
			return functions[e.Fun.(*ast.Ident).Name].call(args)
		}
		b := e.(*ast.BinaryExpr)
		x, y := eval(b.X), eval(b.Y)
		switch b.Op {
		case token.ADD:
			return x + y
		case token.SUB:
			return x - y
		case token.MUL:
			return x * y
		}
		return x / y
	}
	return eval(f.expr)
}

// text writes the formula for people; name gives what stands for a key.
func (f formula) text(name func(key string) string) string {
	var b strings.Builder
	var write func(e ast.Expr)
	write = func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.Ident:
			b.WriteString(name(e.Name))
		case *ast.BasicLit:
			v, _ := literal(e)
			b.WriteString(literalText(v))
		case *ast.ParenExpr:
			b.WriteString("(")
			write(e.X)
			b.WriteString(")")
		case *ast.CallExpr:
			called := e.Fun.(*ast.Ident).Name
			if called == "pow" {
				write(e.Args[0])
				b.WriteString("^")
				write(e.Args[1])
				return
			}
			b.WriteString(called + "(")
			for i, a := range e.Args {
				if i > 0 {
					b.WriteString(", ")
				}
				write(a)
			}
			b.WriteString(")")
		case *ast.BinaryExpr:
			write(e.X)
			b.WriteString(operators[e.Op])
			write(e.Y)
		}
	}
	write(f.expr)
	return b.String()
}
