package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/store"
)

// TestFsckNamesWhatWasPromised damages the end of a log, and of the list of its tables, of a site that was killed: fsck names what
// is lost, again when asked again, and says that the whole is well before.
func TestFsckNamesWhatWasPromised(t *testing.T) {
	for _, c := range []struct{ file, what string }{
		{"log/*.log", "with entry 3 and term 1, was answered"},
		{"log/MANIFEST-*", "is damaged within the"},
	} {
		data := killed(t)
		if result, text := runFsck(t, data); !result.OK {
			t.Fatalf("before the damage: %s", text)
		}
		data = killed(t)
		files, err := filepath.Glob(filepath.Join(data, c.file))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", c.file, files, err)
		}
		flipLast(t, files[len(files)-1])
		for range 2 {
			result, text := runFsck(t, data)
			if result.OK || len(result.Findings) != 1 || !strings.Contains(result.Findings[0].What, c.what) || !strings.Contains(text, c.what) {
				t.Errorf("%s: %+v\n%s", c.file, result, text)
			}
		}
	}
}

// killed is a copy of a data directory as a killed process leaves it.
func killed(t *testing.T) string {
	t.Helper()
	live, left := t.TempDir(), filepath.Join(t.TempDir(), "data")
	s, err := store.Open(store.Options{Dir: live, OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		e := store.Entry{Index: i + 1, Term: 1, Data: []byte("an entry")}
		if err := s.Write([]store.Write{{Shard: 1, Hard: &store.HardState{Term: 1}, Entries: []store.Entry{e}, Sync: true}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(left, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return left
}

// flipLast changes the last byte of a file that is not zero: logs are made longer than what is written.
func flipLast(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(bytes.TrimRight(b, "\x00"))-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func runFsck(t *testing.T, data string) (result fsckResult, text string) {
	t.Helper()
	cmd := newFsck()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true // as the root does
	var out, words bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&words)
	cmd.SetArgs([]string{"--data", data, "--json", "-"})
	err := cmd.Execute()
	if decodeErr := json.Unmarshal(out.Bytes(), &result); decodeErr != nil {
		t.Fatalf("%v: %v: %s", err, decodeErr, out.String())
	}
	if (err == nil) != result.OK {
		t.Errorf("ok is %v, and the error %v", result.OK, err)
	}
	return result, words.String()
}
