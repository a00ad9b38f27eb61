package redshifttest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// serveWire speaks PostgreSQL's protocol as Redshift does: version 8.0.2, over TLS only, simple queries only.
func (s *Server) serveWire(cert tls.Certificate) {
	var open sync.WaitGroup
	defer open.Wait()
	keys := &cancels{sessions: map[uint32]*session{}}
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		stop := context.AfterFunc(s.life, func() { conn.Close() })
		open.Go(func() {
			defer stop()
			defer conn.Close()
			s.client(conn, cert, keys)
		})
	}
}

// cancels are the sessions by the number that a cancel request names.
type cancels struct {
	mu       sync.Mutex
	next     uint32
	sessions map[uint32]*session
}

func (s *Server) client(conn net.Conn, cert tls.Certificate, keys *cancels) {
	b := pgproto3.NewBackend(conn, conn)
	secure := false
	refuse := func(code, message string) {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message})
		_ = b.Flush()
	}
	for {
		m, err := b.ReceiveStartupMessage()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.SSLRequest:
			if _, err := conn.Write([]byte("S")); err != nil {
				return
			}
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
			b, secure = pgproto3.NewBackend(conn, conn), true
		case *pgproto3.GSSEncRequest:
			if _, err := conn.Write([]byte("N")); err != nil {
				return
			}
		case *pgproto3.CancelRequest:
			keys.mu.Lock()
			c := keys.sessions[m.ProcessID]
			keys.mu.Unlock()
			if c != nil {
				_ = c.pg.CancelRequest(context.Background())
			}
			return
		case *pgproto3.StartupMessage:
			switch {
			case !secure:
				refuse("28000", "no pg_hba.conf entry: SSL is required")
				return
			case m.Parameters["database"] != Database:
				refuse("3D000", `database "`+m.Parameters["database"]+`" does not exist`)
				return
			}
			b.Send(&pgproto3.AuthenticationCleartextPassword{})
			if b.Flush() != nil {
				return
			}
			_ = b.SetAuthType(pgproto3.AuthTypeCleartextPassword)
			p, err := b.Receive()
			if pw, ok := p.(*pgproto3.PasswordMessage); err != nil || !ok || pw.Password != Password || m.Parameters["user"] != User {
				refuse("28000", `password authentication failed for user "`+m.Parameters["user"]+`"`)
				return
			}
			s.serveSession(conn, b, keys)
			return
		default:
			return
		}
	}
}

func (s *Server) serveSession(conn net.Conn, b *pgproto3.Backend, keys *cancels) {
	ctx := context.Background()
	c, err := s.lend(ctx)
	if err != nil {
		return
	}
	defer c.close() // a cancel that comes late must not hit another client's statement
	keys.mu.Lock()
	keys.next++
	id := keys.next
	keys.sessions[id] = c
	keys.mu.Unlock()
	defer func() {
		keys.mu.Lock()
		delete(keys.sessions, id)
		keys.mu.Unlock()
	}()
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "8.0.2"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.BackendKeyData{ProcessID: id, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() != nil {
		return
	}
	for skipping := false; ; {
		m, err := b.Receive()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.Query:
			fault := s.event("wire: " + brief(m.String))
			if fault == Drop {
				conn.Close()
				return
			}
			var r *result
			if word := strings.ToUpper(firstWord(m.String)); word == "COMMIT" && s.event("sql: COMMIT") == Conflict {
				_, _ = c.raw(ctx, "ROLLBACK")
				err = conflict("injected")
			} else {
				r, err = c.exec(ctx, m.String)
			}
			if fault == Lose {
				conn.Close()
				return
			}
			reply(b, r, err)
		case *pgproto3.Terminate:
			return
		case *pgproto3.Sync:
			skipping = false
		case *pgproto3.Flush:
			continue
		default: // an error, and nothing more until the next Sync
			if skipping {
				continue
			}
			skipping = true
			b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "0A000", Message: "the double takes simple queries only"})
			if b.Flush() != nil {
				return
			}
			continue
		}
		b.Send(&pgproto3.ReadyForQuery{TxStatus: c.pg.TxStatus()})
		if b.Flush() != nil {
			return
		}
	}
}

func brief(sql string) string {
	f := strings.Fields(sql)
	return strings.Join(f[:min(len(f), 2)], " ")
}

func reply(b *pgproto3.Backend, r *result, err error) {
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			f = &failure{"XX000", err.Error(), ""}
		}
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: f.code, Message: f.message, Detail: f.detail})
		return
	}
	if len(r.columns) > 0 {
		fields := make([]pgproto3.FieldDescription, len(r.columns))
		for i, c := range r.columns {
			fields[i] = pgproto3.FieldDescription{Name: []byte(c.Name), DataTypeOID: c.DataTypeOID, DataTypeSize: c.DataTypeSize, TypeModifier: c.TypeModifier}
		}
		b.Send(&pgproto3.RowDescription{Fields: fields})
		for _, row := range r.rows {
			b.Send(&pgproto3.DataRow{Values: row})
		}
	}
	b.Send(&pgproto3.CommandComplete{CommandTag: []byte(r.tag)})
}

// certificate makes one for 127.0.0.1, and its issuer as PEM.
func certificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redshift double"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, b.Bytes()
}
