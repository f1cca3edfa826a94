package client

//lint:file-ignore ST1005 The messages are those of Vault's own command line.

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/ryanuber/columnize"
)

// separator stands between columns until they are laid out; no value holds it.
const separator = "\x00"

// printTable prints rows below a header whose columns are underlined.
func (s *session) printTable(rows ...[]string) error {
	line := make([]string, len(rows[0]))
	for i, title := range rows[0] {
		line[i] = strings.Repeat("-", len(title))
	}
	var lines []string
	for _, row := range slices.Insert(rows, 1, line) {
		lines = append(lines, strings.Join(row, separator))
	}
	_, err := fmt.Fprintln(s.Stdout, columnize.Format(lines, &columnize.Config{Delim: separator, Glue: "    ", Empty: "n/a"}))
	return err
}

func (s *session) printJSON(v any) error {
	e := json.NewEncoder(s.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (s *session) printStatus(status api.SealStatusResponse) error {
	if s.format == "json" {
		return s.printJSON(struct {
			api.SealStatusResponse
			HAEnabled bool `json:"ha_enabled"`
		}{SealStatusResponse: status})
	}
	rows := [][]string{
		{"Key", "Value"}, {"Seal Type", status.Type},
		{"Initialized", fmt.Sprint(status.Initialized)}, {"Sealed", fmt.Sprint(status.Sealed)},
		{"Total Shares", fmt.Sprint(status.N)}, {"Threshold", fmt.Sprint(status.T)},
	}
	if status.Sealed {
		rows = append(rows, []string{"Unseal Progress", fmt.Sprintf("%d/%d", status.Progress, status.T)}, []string{"Unseal Nonce", status.Nonce})
	}
	rows = append(rows, []string{"Version", status.Version}, []string{"Build Date", status.BuildDate}, []string{"Storage Type", status.StorageType})
	if status.ClusterName != "" {
		rows = append(rows, []string{"Cluster Name", status.ClusterName}, []string{"Cluster ID", status.ClusterID})
	}
	return s.printTable(append(rows, []string{"HA Enabled", "false"})...)
}

func (s *session) printKeys(keys api.InitResponse, shares, threshold int) error {
	if s.format == "json" {
		return s.printJSON(map[string]any{
			"unseal_keys_b64": keys.KeysB64, "unseal_keys_hex": keys.Keys,
			"unseal_shares": shares, "unseal_threshold": threshold,
			"recovery_keys_b64": orEmpty(keys.RecoveryKeysB64), "recovery_keys_hex": orEmpty(keys.RecoveryKeys),
			"recovery_keys_shares": 0, "recovery_keys_threshold": 0,
			"root_token": keys.RootToken,
		})
	}
	for i, key := range keys.KeysB64 {
		fmt.Fprintf(s.Stdout, "Unseal Key %d: %s\n", i+1, key)
	}
	_, err := fmt.Fprintf(s.Stdout, "\nInitial Root Token: %s\n\nVault initialized with %d key shares and a key threshold of %d.\n", keys.RootToken, shares, threshold)
	return err
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// printToken prints the token that login has got.
func (s *session) printToken(token string, self *api.Secret) error {
	ttl, err := self.TokenTTL()
	if err != nil {
		return err
	}
	renewable, err := self.TokenIsRenewable()
	if err != nil {
		return err
	}
	policies, err := self.TokenPolicies()
	if err != nil {
		return err
	}
	accessor, err := self.TokenAccessor()
	if err != nil {
		return err
	}
	if s.format == "json" {
		self.Auth = &api.SecretAuth{
			ClientToken: token, Accessor: accessor, Policies: policies, TokenPolicies: policies,
			LeaseDuration: int(ttl.Seconds()), Renewable: renewable,
		}
		self.Data = nil
		return s.printJSON(self)
	}
	life := "∞"
	if ttl > 0 {
		life = short(ttl)
	}
	return s.printTable([]string{"Key", "Value"}, []string{"token", token}, []string{"token_accessor", accessor},
		[]string{"token_duration", life}, []string{"token_renewable", fmt.Sprint(renewable)},
		[]string{"token_policies", fmt.Sprintf("%q", policies)}, []string{"identity_policies", "[]"},
		[]string{"policies", fmt.Sprintf("%q", policies)})
}

func (s *session) printSecret(secret *api.Secret) error {
	if s.field != "" {
		v, ok := secret.Data[s.field]
		if !ok {
			return fmt.Errorf("Field %q not present in secret", s.field)
		}
		_, err := io.WriteString(s.Stdout, fmt.Sprint(v)) // no line end, so that a file holds the value alone
		return err
	}
	if s.format == "json" {
		return s.printJSON(secret)
	}
	for _, w := range secret.Warnings {
		fmt.Fprintf(s.Stderr, "WARNING! The following warning was returned from Vault:\n\n  * %s\n\n", w)
	}
	rows := [][]string{{"Key", "Value"}}
	for _, k := range sortedKeys(secret.Data) {
		rows = append(rows, []string{k, fmt.Sprint(value(k, secret.Data[k]))})
	}
	if len(rows) == 1 {
		return nil
	}
	return s.printTable(rows...)
}

func (s *session) printList(keys []any) error {
	if s.format == "json" {
		return s.printJSON(keys)
	}
	rows := [][]string{{"Keys"}}
	for _, k := range keys {
		rows = append(rows, []string{fmt.Sprint(k)})
	}
	return s.printTable(rows...)
}

func (s *session) printMounts(mounts map[string]*api.MountOutput) error {
	if s.format == "json" {
		return s.printJSON(mounts)
	}
	rows := [][]string{{"Path", "Type", "Accessor", "Description"}}
	for path, m := range mounts {
		rows = append(rows, []string{path, m.Type, m.Accessor, m.Description})
	}
	slices.SortFunc(rows[1:], func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return s.printTable(rows...)
}

// value returns a field's text: a duration's, where the name is that of one.
func value(key string, v any) any {
	if key != "period" && key != "ttl" && key != "duration" && key != "lease_max" && key != "ttl_max" &&
		!strings.HasSuffix(key, "_period") && !strings.HasSuffix(key, "_ttl") && !strings.HasSuffix(key, "_duration") {
		return v
	}
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	seconds, err := n.Int64()
	if err != nil {
		return v
	}
	return short(time.Duration(seconds) * time.Second)
}

// short is a duration without the parts that are zero at its end.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
