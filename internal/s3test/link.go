package s3test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Link is a line to an S3 server as it is outside of a laptop: far away, and with so much for each connection.
type Link struct {
	RTT     time.Duration // between the last byte of a request and the first one of its answer
	PerConn int64         // bytes a second and direction of one connection; 0 is no bound
	Total   int64         // bytes a second and direction of all of them; 0 is no bound
}

// Proxy is a link to a server on loopback. It passes bytes on as they are, so that signatures hold.
type Proxy struct {
	Endpoint string // http://127.0.0.1:port

	link     Link
	target   string
	down, up pacer // of all connections

	conns    atomic.Int64
	requests atomic.Int64
	inFlight atomic.Int64
	peak     atomic.Int64
}

// Link starts a proxy in front of the server; it ends with the test.
func (s *Server) Link(t testing.TB, link Link) *Proxy {
	t.Helper()
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Endpoint: "http://" + l.Addr().String(), link: link, target: u.Host}
	p.down.rate, p.up.rate = link.Total, link.Total
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			wait.Go(func() { p.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		wait.Wait()
	})
	return p
}

// Conns is the number of connections that were made.
func (p *Proxy) Conns() int { return int(p.conns.Load()) }

// Requests is the number of requests that were sent; one that waits for "100 Continue" counts twice.
func (p *Proxy) Requests() int { return int(p.requests.Load()) }

// PeakInFlight is the largest number of requests that waited for their answer's first byte at the same time.
func (p *Proxy) PeakInFlight() int { return int(p.peak.Load()) }

// serve passes on what one connection says in both directions until either side ends it.
func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	p.conns.Add(1)
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return // the client sees its connection closed
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	turn := &turn{proxy: p}
	defer turn.answered()
	var wait sync.WaitGroup
	wait.Go(func() {
		defer server.Close()
		pass(server, client, []*pacer{{rate: p.link.PerConn}, &p.up}, turn.asked)
	})
	pass(client, server, []*pacer{{rate: p.link.PerConn}, &p.down}, turn.answer)
	client.Close()
	wait.Wait()
}

// pass copies from src to dst at the pacers' rates and calls before for each piece.
func pass(dst io.Writer, src io.Reader, pacers []*pacer, before func()) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			before()
			for _, pace := range pacers {
				pace.take(int64(n))
			}
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return // the end, or a broken connection: closing the other one passes it on
		}
	}
}

// turn is whose turn it is on a connection: HTTP/1.1 without pipelining is question and answer.
type turn struct {
	proxy   *Proxy
	mu      sync.Mutex
	waiting bool
	at      time.Time // of the question's last piece
}

func (t *turn) asked() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = time.Now()
	if t.waiting {
		return
	}
	t.waiting = true
	t.proxy.requests.Add(1)
	now := t.proxy.inFlight.Add(1)
	for peak := t.proxy.peak.Load(); now > peak && !t.proxy.peak.CompareAndSwap(peak, now); peak = t.proxy.peak.Load() {
	}
}

// answer holds the first piece of an answer back for the round trip.
func (t *turn) answer() {
	t.mu.Lock()
	waiting, at := t.waiting, t.at
	t.mu.Unlock()
	if waiting {
		time.Sleep(time.Until(at.Add(t.proxy.link.RTT)))
		t.answered()
	}
}

func (t *turn) answered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting {
		t.waiting = false
		t.proxy.inFlight.Add(-1)
	}
}

// pacer lets bytes through at a rate, with a burst of what passes in two milliseconds.
type pacer struct {
	rate int64
	mu   sync.Mutex
	next time.Time
}

const burst = 2 * time.Millisecond

func (p *pacer) take(n int64) {
	if p.rate <= 0 {
		return
	}
	p.mu.Lock()
	if early := time.Now().Add(-burst); p.next.Before(early) {
		p.next = early
	}
	p.next = p.next.Add(time.Duration(n * int64(time.Second) / p.rate))
	wait := time.Until(p.next)
	p.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
}
