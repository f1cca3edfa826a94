package sensitive_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/sensitive"
)

func TestName(t *testing.T) {
	for _, path := range []string{
		"password", "adminPassword", "superuserPassword", "SUPERUSER_PASSWORD", "data/superuser-password", "auth.refreshToken", "refresh_token",
		"passwords", "auth.passwords[0]", "passwords.alice", "clientPasswords", "secretKey", "secretkey", "s3.accesskey", "s3.accessKeyID", "s3.storageAccountKey",
		"core.xsrfKey", "core.secret", "encryptionKey", "fernetKey", "webserverSecretKey", "slackWebhook", "webhookURL", "webhook_url", "apiKey", "api-key",
		"privateKey", "clientSecret", "dsn", "sentryDSN", "connectionString", "passphrase", "token", "rootToken", "key", "adminKey.value",
		"spec/containers[app]/env[DB_PASSWORD]/value", "spec/containers[app]/env[REFRESH_TOKEN]/value", "credentials.cloud", "aws.credentials", "password2", "user.pass",
	} {
		if !sensitive.Name(path) {
			t.Errorf("%s is no secret", path)
		}
	}
	for _, path := range []string{
		"secretName", "secretRef", "tokenReviewerJWT", "existingSecret", "existingSecretPasswordKey", "tokenTTL", "token_ttl", "imagePullSecrets", "passwordFile",
		"tokenPath", "automountServiceAccountToken", "createSecret", "enableToken", "usePasswordFiles", "generatePassword", "publicKey", "topologyKey", "passwordKey",
		"env[PASSWORD_FILE]/value", "spec/containers[a]/env[P]/valueFrom/secretKeyRef/key", "spec/tolerations[0]/key", "privateKey.algorithm", "spec/privateKey/rotationPolicy",
		"metadata/annotations/checksum/secret", "metadata/labels/token", "keyboard", "monkey.name", "tokenPolicies", "credentials.secretName", "compass", "size", "image.tag", "",
	} {
		if sensitive.Name(path) {
			t.Errorf("%s is a secret", path)
		}
	}
}

func TestFindable(t *testing.T) {
	for _, test := range []struct {
		value        string
		named, other bool
	}{
		{"true", false, false}, {"admin", false, false}, {"80", false, false}, {"8200", false, false}, {"123456", false, false}, {"password", false, false}, {"changeme", true, false},
		{"hunter2", true, false}, {"monitoring", true, false}, {"postgres", true, false}, {"postgres.default.svc", true, false}, {"vault.example.org:8200", true, false},
		{"https://vault.example.org:8200/v1", true, false}, {"postgres://app:hunter2@db/app", true, true}, {"/var/run/secrets/token", true, false}, {"10.96.0.1", true, false},
		{"LEAK01aaaaaaaaaaaa", true, true}, {"Zx81kQ9p", true, true}, {"deadbeef12345678", true, true}, {"correct-horse-battery-staple", true, true},
		{"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", false, false}, {"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", true, true},
	} {
		if named, other := sensitive.Findable(test.value, true), sensitive.Findable(test.value, false); named != test.named || other != test.other {
			t.Errorf("%q: named %v, other %v, want %v, %v", test.value, named, other, test.named, test.other)
		}
	}
}

func TestMask(t *testing.T) {
	pem := "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEICANARY\nCANARY==\n-----END EC PRIVATE KEY-----\n"
	for name, text := range map[string]string{
		"PEM": pem, "cut PEM": pem[:50], "base64": base64.StdEncoding.EncodeToString([]byte(pem)),
		"JWT": "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARYsignature in it",
		"age": "AGE-SECRET-KEY-1CANARY" + strings.Repeat("Q", 52),
		"URL": "postgres://app:CANARY@db/app", "redis": "redis://:CANARY@db", "in text": `dial "https://u:CANARY@h.example": refused`,
		"Vault": "hvs.CANARY" + strings.Repeat("x", 20), "old Vault": "s.CANARY" + strings.Repeat("x", 18), "GitHub": "ghp_CANARY" + strings.Repeat("x", 30),
		"AWS": "AKIACANARY" + strings.Repeat("X", 10), "Slack": "https://hooks.slack.com/services/T0/B0/CANARY",
	} {
		got := sensitive.Mask(text, "(secret)")
		if strings.Contains(got, "CANARY") || !strings.Contains(got, "(secret)") {
			t.Errorf("%s: %s", name, got)
		}
		if again := sensitive.Mask(got, "(secret)"); again != got {
			t.Errorf("%s: masked again it is %s", name, again)
		}
	}
	cert := "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	for _, text := range []string{cert, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(cert, 3))), "https://h:8443/a@b", "this.is.text", "sha256:0123456789abcdef", "AGE-1"} {
		if got := sensitive.Mask(text, "(secret)"); got != text {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestAssigned(t *testing.T) {
	got := sensitive.Assigned("superuser_password = CANARY1x2y\n\"refreshToken\": \"CANARY3x4y\",\n--api-key=CANARY5x6y --auth-token CANARY9x0y --password words -H 'Authorization: Bearer CANARYbx1y' Authorization=Basic CANARYcx2y==\n{\\\"db_password\\\": \\\"CANARYdx3y\\\"}\ntoken: expired\npassword: $(PASSWORD)\nimage: nginx:CANARY7x8y\nsecretName = web-tls")
	if want := []string{"CANARY1x2y", "CANARY3x4y", "CANARY5x6y", "CANARY9x0y", "CANARYbx1y", "CANARYcx2y==", "CANARYdx3y"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestArguments(t *testing.T) {
	list := []any{"serve", "--password", "short", "-token", "x", "--api-key", "--verbose", "--secret", "$(SECRET)", "password", "word", "--token-file", "/t", "--color", "red", "--a=password", "b", 5, "--passphrase", 7, "--token"}
	if got, want := sensitive.Arguments(list), []int{2, 4}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
