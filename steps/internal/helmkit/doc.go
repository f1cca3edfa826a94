// Package helmkit installs and upgrades releases with Helm, and shows before the
// changes of an operation. Its parts are packages of their own: chart fetches charts, values
// reads and checks their values, manifest compares objects and makes patches, release
// reads stored releases and the state of their objects in the cluster.
//
// # Nothing of the user's Helm
//
// The kit reads and writes no Helm configuration: no repositories.yaml, no
// registry logins, no plugins, no cache of the helm command. A chart comes from
// its address in the plan, or from the mirror of that address (session.Mirror), and
// is kept in engine.Env.CacheDir under its SHA-256. The digest in a repository's
// index is checked each time the file is read.
//
// Releases are stored as the helm command stores them by default, in Secrets,
// so that helm list, helm get and helm rollback see the releases of ztplan and
// the other way round.
//
// # Looking never writes
//
// Helm's SDK does not pass contexts on. The kit hands it a configuration whose
// requests run in the context of the edit that is being applied: they may write
// exactly as long as the edit may, and end with it. When the edit is cut off,
// one kind of request still passes for a short while: the one that records the
// release as failed. So a run that is interrupted leaves no release in a
// pending state; a run that is killed does, and [release.Release.Busy] reports whether
// an operation may still be under way.
package helmkit
