package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// partitionsRef is <sink.uri>/_runs/<run_id>/partitions.json. It stands from before the first file of a partitioned run is
// visible until the commit, so that a later attempt knows in which folders one that died in between left files: a
// partition column may come from now(), and the folders be others then.
func partitionsRef(dir objstore.Ref, runID string) objstore.Ref {
	return objstore.Ref{Bucket: dir.Bucket, Key: dir.Key + "_runs/" + runID + "/partitions.json"}
}

// announce puts the run's folders there, beside those of earlier attempts, and returns them all.
func (c *committer) announce(ctx context.Context) ([]string, error) {
	if !c.partitioned {
		return nil, nil
	}
	ref := partitionsRef(c.dir, c.runID)
	folders := slices.Clone(c.data.Folders())
	if c.force { // the files of the commit that is replaced may lie in others
		m, err := readManifest(ctx, c.store, manifestRef(c.dir, c.runID))
		if err != nil {
			return nil, err
		}
		for _, f := range m.files() {
			if key, ok := strings.CutPrefix(f.Key, c.dir.Key); ok {
				folders = append(folders, key[:strings.LastIndexByte(key, '/')+1])
			}
		}
	}
	info, err := c.store.Stat(ctx, ref, objstore.Pin{})
	if err == nil {
		var before []string
		var b []byte
		if b, err = readObject(ctx, c.store, info); err == nil {
			if json.Unmarshal(b, &before) != nil {
				return nil, fail.Newf(fail.Data, "the list of an earlier attempt's partitions cannot be read").In(ref.String())
			}
			folders = append(folders, before...)
		}
	}
	if err != nil && !errors.Is(err, objstore.ErrNotExist) {
		return nil, fmt.Errorf("look for an earlier attempt's partitions: %w", err)
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	b, err := json.Marshal(folders)
	if err != nil {
		return nil, fail.Newf(fail.Internal, "encode partitions: %w", err)
	}
	if _, err := c.store.Put(ctx, ref, append(b, '\n'), "application/json", false); err != nil {
		return nil, fmt.Errorf("write the list of partitions: %w", err)
	}
	return folders, nil
}

// retract removes the list: the manifest says more. That it stays does no harm.
func (c *committer) retract(ctx context.Context) {
	if !c.partitioned {
		return
	}
	if err := c.store.Delete(ctx, partitionsRef(c.dir, c.runID)); err != nil {
		c.log.Warn("the list of partitions was not removed", "run_id", c.runID, "error", err.Error())
	}
}
