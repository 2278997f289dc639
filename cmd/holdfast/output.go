package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// jsonFlag adds --json FILE.
func jsonFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "json", "", "write the result as JSON to `FILE`; - is standard output")
}

// words is where results for people go: standard output, unless that is taken by JSON.
func words(cmd *cobra.Command, jsonFile string) io.Writer {
	if jsonFile == "-" {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// writeJSON writes a result where --json says; without the flag it does nothing.
func writeJSON(cmd *cobra.Command, file string, v any) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write the result as JSON: %w", err)
	}
	text = append(text, '\n')
	if file == "-" {
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	return writeFile(file, text)
}

// writeFile writes a file for others to read, and the directory it is in.
func writeFile(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make the directory of %s: %w", file, err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
