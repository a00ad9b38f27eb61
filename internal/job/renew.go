package job

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// renewing writes an entry of a log anew, a few times in each lease, until stop is called, which waits for the last write. Whoever waits for the entry to be given up sees a
// new version each time. It writes over nothing but the version that it has written itself, so it brings back no entry that is gone, and who has been
// taken over anyway finds that where it always does: no rule of safety rests on it.
func renewing(ctx context.Context, store objstore.Store, every time.Duration, was objstore.Info, entry func(times int) any) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = fail.Guard("renew a claim", func() error {
			t := time.NewTicker(every)
			defer t.Stop()
			for times := 1; ; times++ {
				select {
				case <-ctx.Done():
					return nil
				case <-t.C:
				}
				b, err := encodeJSON(was.Ref, entry(times))
				if err != nil {
					return err
				}
				now, err := store.Replace(ctx, was, b, "application/json")
				switch {
				case err == nil:
					was = now
				case errors.Is(err, objstore.ErrChanged):
					return nil // it is another's, or has served
				}
			}
		})
	}()
	return func() { cancel(); <-ended }
}
