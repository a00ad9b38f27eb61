package pgtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and the server, and cuts their connection at one of the client's messages.
type Proxy struct {
	Addr string
	lost bool // the message arrives, its answer does not

	mu   sync.Mutex
	at   int // the message that it cuts at; negative for none
	seen []string
	l    net.Listener
	all  sync.WaitGroup
	open map[net.Conn]bool
}

// NewProxy listens in front of addr. Of the client's messages that ask for an answer or bring rows (what prepares a statement up to its Sync goes along with it), counted over all connections, it cuts at number at (negative for none): before the server gets it or, with
// lost, after, before the client gets an answer. Later connections are served. Without TLS only.
func NewProxy(t testing.TB, addr string, at int, lost bool) *Proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), at: at, lost: lost, l: l, open: map[net.Conn]bool{}}
	p.all.Add(1)
	go func() {
		defer p.all.Done()
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Add(1)
			go func() { defer p.all.Done(); p.serve(client, addr) }()
		}
	}()
	t.Cleanup(p.Close)
	return p
}

// Close cuts all connections and waits until they have ended.
func (p *Proxy) Close() {
	p.l.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// Seen are the client's messages so far, by what they are and, of queries, their text.
func (p *Proxy) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

// Cut reports whether the message that it cuts at has come.
func (p *Proxy) Cut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at >= 0 && len(p.seen) > p.at
}

func (p *Proxy) hold(c net.Conn) { p.mu.Lock(); p.open[c] = true; p.mu.Unlock() }

func (p *Proxy) drop(c net.Conn) { c.Close(); p.mu.Lock(); delete(p.open, c); p.mu.Unlock() }

func (p *Proxy) serve(client net.Conn, addr string) {
	p.hold(client)
	defer p.drop(client)
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return
	}
	p.hold(server)
	defer p.drop(server)
	answers := &tap{to: client}
	back := make(chan struct{})
	go func() { defer close(back); _, _ = io.Copy(answers, server); client.Close() }()
	err = p.forward(client, server, answers)
	if errors.Is(err, errCut) { // abruptly, as a machine that is gone
		if tcp, ok := client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	client.Close()
	server.Close()
	<-back
}

var errCut = errors.New("cut")

// forward passes the client's messages on until one is cut at.
func (p *Proxy) forward(client, server net.Conn, answers *tap) error {
	for startup := true; ; startup = false {
		head := make([]byte, 5)
		if startup {
			head = head[:4]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[len(head)-4:])
		if n < 4 {
			return fmt.Errorf("a message of %d bytes", n)
		}
		body := make([]byte, n-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return err
		}
		cut := p.count(head, body, startup)
		if cut && !p.lost {
			return errCut
		}
		if cut {
			answers.close()
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return err
		}
		if cut {
			answers.wait(300 * time.Millisecond) // the server acts on it before it learns that the client is gone
			return errCut
		}
	}
}

// count notes a message and says whether it is the one to cut at.
func (p *Proxy) count(head, body []byte, startup bool) bool {
	what := "startup"
	if !startup {
		if what = string(head[0]); strings.Contains("PBDECH", what) {
			return false
		}
		if head[0] == 'Q' {
			what += " " + string(body)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, what)
	return len(p.seen)-1 == p.at
}

// tap passes answers on until it is closed.
type tap struct {
	to     io.Writer
	mu     sync.Mutex
	closed bool
	came   chan struct{}
}

func (t *tap) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		select {
		case t.came <- struct{}{}:
		default:
		}
		return len(b), nil
	}
	return t.to.Write(b)
}

func (t *tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed, t.came = true, make(chan struct{}, 1)
}

// wait waits for an answer, up to d: to some messages there is none.
func (t *tap) wait(d time.Duration) {
	select {
	case <-t.came:
	case <-time.After(d):
	}
}
