// Package cijob reads the CI job that the program runs in from its environment.
package cijob

import (
	"net/url"

	"github.com/ztplan/ztplan/steps/evidence"
)

// systems are CI systems by the variable that they set to identify themselves,
// with the variables that name the job. None of them is a secret.
// Sources: https://docs.github.com/actions/reference/workflows-and-actions/variables,
// https://docs.gitlab.com/ci/variables/predefined_variables/, and the pages of
// the same kind of the others.
var systems = []struct {
	name, sign string
	facts      []string
}{
	{"GitHub Actions", "GITHUB_ACTIONS", []string{"GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_WORKFLOW_REF", "GITHUB_JOB", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_EVENT_NAME", "GITHUB_REF", "GITHUB_SHA", "GITHUB_ACTOR"}},
	{"GitLab CI", "GITLAB_CI", []string{"CI_JOB_URL", "CI_PIPELINE_URL", "CI_PIPELINE_SOURCE", "CI_PROJECT_PATH", "CI_JOB_NAME", "CI_COMMIT_REF_NAME", "CI_COMMIT_SHA", "GITLAB_USER_LOGIN"}},
	{"Azure Pipelines", "TF_BUILD", []string{"SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID", "BUILD_SOURCEBRANCH", "BUILD_SOURCEVERSION"}},
	{"Buildkite", "BUILDKITE", []string{"BUILDKITE_BUILD_URL", "BUILDKITE_JOB_ID", "BUILDKITE_BRANCH", "BUILDKITE_COMMIT"}},
	{"CircleCI", "CIRCLECI", []string{"CIRCLE_BUILD_URL", "CIRCLE_JOB", "CIRCLE_BRANCH", "CIRCLE_SHA1"}},
	{"Jenkins", "JENKINS_URL", []string{"BUILD_URL", "JOB_NAME", "BUILD_NUMBER"}},
}

// Read returns the CI job in the environment, nil if there is none.
func Read(env func(string) (string, bool)) *evidence.Job {
	for _, c := range systems {
		if sign, _ := env(c.sign); sign == "" || sign == "false" {
			continue
		}
		job := &evidence.Job{System: c.name, Facts: make(map[string]string)}
		for _, name := range c.facts {
			if v, _ := env(name); v != "" {
				job.Facts[name] = WithoutPassword(v)
			}
		}
		if len(job.Facts) > 0 {
			return job
		}
	}
	return nil
}

// WithoutPassword hides the password that an address may hold.
func WithoutPassword(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		return u.Redacted()
	}
	return address
}
