package process

import (
	"bufio"
	"io"
)

// maxLine bounds one report: a component that writes more is broken.
const maxLine = 1 << 20

func readLines(r io.ReadCloser, each func([]byte)) {
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		each(lines.Bytes())
	}
}
