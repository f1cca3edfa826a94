package evidence

import "time"

// A Certificate is a public certificate that was seen.
type Certificate struct {
	PEM         string    `json:"pem"`         // the leaf alone
	Chain       []string  `json:"chain"`       // certificates that came with it, PEM, in order
	Serial      string    `json:"serial"`      // colon-separated lower-case hex
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER, lower-case hex
	PublicKey   string    `json:"publicKey"`   // SHA-256 of the SubjectPublicKeyInfo, lower-case hex
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
}

// A Rule is one line of a proof's pass rule: limit and measurement in the same unit,
// so that the verdict can be computed again. The name decides the comparison.
//
// [Rule.Verdict] has the comparisons. Neither Limit nor Saw may be nil. Where a rotation's
// records hold the measurements, Saw must be their sum: maxFailures the failures of all
// endpoints, maxGap the longest gap of all, maxSwitch the most that Switch returns for the
// hops, askedAway whether hop "asked" lies between the fault's Away and StillAway, restored
// whether the fault ended, maxDown the time from its beginning to its end, and maxCatchUp
// that from there to hop "caught-up". InSeconds reports which are in seconds.
type Rule struct {
	Name  string `json:"name"` // "maxFailures", "maxGap", "maxSwitch", "newKey", …
	Limit any    `json:"limit"`
	Saw   any    `json:"saw"`
	Holds bool   `json:"holds"`
}

// Record names, the first argument of Env.Record.
const (
	RecordRotation  = "rotation"  // a Rotation
	RecordRollover  = "rollover"  // a Rollover
	RecordHandshake = "handshake" // a Handshake
	RecordDenial    = "denial"    // a Denial
	RecordChart     = "chart"     // a Chart
)

// A Rotation is the measurement of assertRotation: one record for each rotation.
type Rotation struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"` // of the cert-manager Certificate
	Number    int           `json:"number"`
	Trigger   string        `json:"trigger"`      // renew, wait or intermediate
	KeyPolicy string        `json:"keyPolicy"`    // rotationPolicy: Always or Never
	Trust     []string      `json:"trust"`        // PEM of the roots that verification used
	Server    string        `json:"server"`       // the name that was asked for and verified
	Certs     []Certificate `json:"certificates"` // [0] old, [1] new, others that were seen after

	// Clients are the certificates that the clients presented, in the order of their
	// first use: several if that certificate changed meanwhile.
	Clients []Certificate `json:"clients,omitempty"`

	Hops      []Hop      `json:"hops"`
	Clock     Clock      `json:"clock,omitzero"` // of the API server; absent if it is not known
	Endpoints []Endpoint `json:"endpoints"`
	// Looks are handshakes with one pod each, to see it by itself: no client's.
	Looks []Endpoint `json:"looks,omitempty"`
	// Coverage bounds the doubt that no server was left behind. It is absent
	// in evidence that was recorded before ztplan stated its doubt.
	Coverage []Coverage `json:"coverage,omitempty"`
	// Workers is how many servers were taken to be behind each replica, and
	// WorkersFrom where that number comes from: plan, nodes (the processors of
	// the replicas' nodes) or default.
	Workers     int       `json:"workers,omitempty"`
	WorkersFrom string    `json:"workersFrom,omitempty"`
	Fault       Fault     `json:"fault,omitzero"` // absent if nothing was broken
	Rules       []Rule    `json:"rules"`
	Began       time.Time `json:"began"`
	Ended       time.Time `json:"ended"`
}

// A Fault is a disruption that the proof made while it measured.
type Fault struct {
	Part      string     `json:"part"`                // vault, cert-manager or gateway
	Pods      []string   `json:"pods"`                // that were deleted, as NAMESPACE/NAME
	Deletions []Deletion `json:"deletions,omitempty"` // of these pods, in the same order; absent in older evidence
	Began     time.Time  `json:"began"`               // just before the first one

	// Away is since when no pod of the part could do its work: each was gone, had
	// ended, or was not ready. StillAway is when that was seen again after the
	// renewal had been asked for. Both are absent if it was not so, and with the
	// gateway.
	Away      time.Time `json:"away,omitzero"`
	StillAway time.Time `json:"stillAway,omitzero"`

	// Ended is when the part was back: every deleted pod gone, and as many as
	// before ready. It is absent if the part did not come back.
	Ended time.Time `json:"ended,omitzero"`
}

// A Deletion is the deletion of one pod by the proof.
type Deletion struct {
	Pod     string    `json:"pod"`           // NAMESPACE/NAME
	UID     string    `json:"uid"`           // a StatefulSet's pods keep their names
	Deleted time.Time `json:"deleted"`       // when the deletion was asked for
	Gone    time.Time `json:"gone,omitzero"` // when the API server had it no more; absent if it never was
}

// An Endpoint is the measurement at one address.
type Endpoint struct {
	Address  string         `json:"address"`
	Attempts int            `json:"attempts"`
	Failures map[string]int `json:"failures,omitempty"` // by class: dial, alert, verify, http, timeout
	// Protocols counts the handshakes by the protocol of ALPN: h2, http/1.1.
	Protocols map[string]int `json:"protocols,omitempty"`
	// Samples are the handshakes in order of their start. Cert is the index in
	// the rotation's certificates, -1 when it failed.
	Samples []Sample `json:"samples"`
	// LongestGapSeconds is the longest time between two successful handshakes.
	LongestGapSeconds float64 `json:"longestGapSeconds"`
	// Latency holds percentiles in seconds, "p50", "p90", "p99", "max", for the
	// phases before, during and after the switch.
	Latency map[string]map[string]float64 `json:"latency,omitempty"`
}

// A Sample is one handshake, or a run of equal ones when there are thousands.
type Sample struct {
	At      float64 `json:"at"`              // seconds after the rotation began
	Seconds float64 `json:"seconds"`         // duration of the handshake; the mean of a run
	Cert    int     `json:"cert"`            // index of the certificate, -1 for a failure
	Class   string  `json:"class,omitempty"` // of a failure
	Count   int     `json:"count,omitempty"` // handshakes in this run; 0 means 1
}

// A Handshake is the observation of curlTLS.
type Handshake struct {
	URL         string      `json:"url"`
	Address     string      `json:"address"`
	TLS         string      `json:"tls"` // "TLS 1.3"
	Cipher      string      `json:"cipher"`
	Protocol    string      `json:"protocol"`
	Status      int         `json:"status"`
	Trust       []string    `json:"trust"`
	Certificate Certificate `json:"certificate"`

	// Client is the certificate that the client presented; absent if the server asked
	// for none, or the client had none.
	Client *Certificate `json:"client,omitempty"`

	Rules []Rule    `json:"rules,omitempty"`
	At    time.Time `json:"at"`
}

// A Chart was installed by helmInstall.
type Chart struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion,omitempty"`
	Repository string `json:"repository,omitempty"`
	Digest     string `json:"digest"` // SHA-256 over the names and contents of the chart's files, lower-case hex
}
