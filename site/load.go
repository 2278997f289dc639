package site

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Problems is everything that is wrong with a configuration, all at once, so that it takes one attempt to repair it.
type Problems []error

// Error lists the problems, one per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, err := range p {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single problems to errors.Is and errors.As.
func (p Problems) Unwrap() []error { return p }

// Load reads, decodes and checks the configuration file. The error is a file error or [Problems].
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := Decode(path, text)
	if err != nil {
		return Config{}, err
	}
	return c, c.Check()
}

// Decode reads a configuration from TOML on top of [Default]. It does not check it. An error is [Problems], each with
// file, line and field.
func Decode(file string, text []byte) (Config, error) {
	c := Default()
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return Config{}, decodeProblems(file, err)
	}
	return c, nil
}

func decodeProblems(file string, err error) error {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var all Problems
		for i := range unknown.Errors {
			e := &unknown.Errors[i]
			row, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: %s: no such field (holdfast serve --print-config shows all there are)",
				file, row, strings.Join(e.Key(), ".")))
		}
		return all
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := e.Position()
		field := strings.Join(e.Key(), ".")
		if field != "" {
			field += ": "
		}
		return Problems{fmt.Errorf("%s:%d:%d: %s%s", file, row, column, field, strings.TrimPrefix(e.Error(), "toml: "))}
	}
	return Problems{fmt.Errorf("%s: %w", file, err)}
}
