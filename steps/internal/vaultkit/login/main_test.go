package login_test

import (
	"testing"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }
