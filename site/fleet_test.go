package site

import (
	"fmt"
	"path/filepath"

	"holdfast"
)

func siteID(n int) holdfast.SiteID { return holdfast.SiteID(n) }

func certFile(dir string, n int, ext string) string {
	return filepath.Join(dir, fmt.Sprintf("site-%d.%s", n, ext))
}
