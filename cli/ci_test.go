package cli

import "testing"

func TestInCI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		environ environment
		want    bool
	}{
		{nil, false},
		{environment{"CI=true"}, true},
		{environment{"CI=woodpecker"}, true},
		{environment{"CI=false"}, false},
		{environment{"CI=0"}, false},
		{environment{"CI="}, false},
		{environment{"CI=false", "TF_BUILD=True"}, false},
		{environment{"CI=", "TF_BUILD=True"}, true},

		{environment{"TF_BUILD=True"}, true},
		{environment{"CODEBUILD_BUILD_ID=project:1"}, true},
		{environment{"TEAMCITY_VERSION=2026.1"}, true},
		{environment{"JENKINS_URL=http://jenkins"}, true},
		{environment{"JENKINS_HOME=/jenkins", "BUILD_ID=7"}, true},
		{environment{"JENKINS_HOME=/jenkins"}, false}, // a person who runs it
		{environment{"BUILD_ID=7"}, false},
		{environment{"GO_PIPELINE_NAME=p"}, true},
		{environment{"bamboo_buildKey=k"}, true},
		{environment{"PROW_JOB_ID=j"}, true},
		{environment{"TASK_ID=t", "RUN_ID=0"}, true},
		{environment{"CONTINUOUS_INTEGRATION=true"}, true},
	} {
		if got := inCI(test.environ); got != test.want {
			t.Errorf("%q: %v, want %v", test.environ, got, test.want)
		}
	}
}
