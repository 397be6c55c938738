package cli

import "slices"

// ciSystem is a system that runs builds as jobs.
type ciSystem struct {
	marks []string // variables that are all set in its jobs
	job   []string // variables that name the job together; the first one must be set
}

// ciSystems returns the systems that are known. Where the variables of two systems are
// set, the first one names the job.
func ciSystems() []ciSystem {
	return []ciSystem{
		{[]string{"GITHUB_ACTIONS"}, []string{"GITHUB_WORKFLOW", "GITHUB_JOB"}}, // Gitea and Forgejo, too
		{[]string{"GITLAB_CI"}, []string{"CI_JOB_NAME"}},
		{[]string{"CIRCLECI"}, []string{"CIRCLE_JOB"}},
		{[]string{"BUILDKITE"}, []string{"BUILDKITE_STEP_KEY"}},
		// Azure Pipelines
		{[]string{"TF_BUILD"}, []string{"BUILD_DEFINITIONNAME", "SYSTEM_STAGENAME", "SYSTEM_JOBNAME"}},
		{[]string{"CODEBUILD_BUILD_ID"}, []string{"CODEBUILD_PROJECT_ARN", "CODEBUILD_BATCH_BUILD_IDENTIFIER"}},
		{[]string{"TEAMCITY_VERSION"}, []string{"TEAMCITY_BUILDCONF_NAME"}},
		// GoCD
		{[]string{"GO_PIPELINE_NAME"}, []string{"GO_PIPELINE_NAME", "GO_STAGE_NAME", "GO_JOB_NAME"}},
		{[]string{"bamboo_buildKey"}, []string{"bamboo_shortJobName"}},
		{[]string{"TRAVIS"}, []string{"TRAVIS_JOB_NAME"}},
		{[]string{"APPVEYOR"}, []string{"APPVEYOR_JOB_NAME"}},
		{[]string{"SEMAPHORE"}, []string{"SEMAPHORE_JOB_NAME"}},
		{[]string{"CIRRUS_CI"}, []string{"CIRRUS_TASK_NAME"}},
		{[]string{"DRONE"}, []string{"DRONE_STAGE_NAME", "DRONE_STEP_NAME"}},
		{[]string{"CF_BUILD_ID"}, []string{"CF_PIPELINE_NAME"}}, // Codefresh
		// Jenkins sets JENKINS_URL only if somebody has configured it. Hudson is what Jenkins
		// was called. Prow names its jobs in the same variable.
		{[]string{"JENKINS_URL"}, []string{"JOB_NAME"}},
		{[]string{"JENKINS_HOME", "BUILD_ID"}, []string{"JOB_NAME"}},
		{[]string{"HUDSON_URL", "BUILD_ID"}, []string{"JOB_NAME"}},
		{[]string{"PROW_JOB_ID"}, []string{"JOB_NAME"}},
		// Systems that name no job: Bitbucket, Google Cloud Build, Taskcluster, Harness, and
		// all that set CONTINUOUS_INTEGRATION
		{[]string{"BITBUCKET_BUILD_NUMBER"}, nil},
		{[]string{"BUILDER_OUTPUT"}, nil},
		{[]string{"TASK_ID", "RUN_ID"}, nil},
		{[]string{"HARNESS_BUILD_ID"}, nil},
		{[]string{"CONTINUOUS_INTEGRATION"}, nil},
	}
}

// inCI reports whether environ is that of a CI job. CI decides where it is set: false
// and 0 say no.
func inCI(environ environment) bool {
	if v := environ.get("CI"); v != "" {
		return v != "false" && v != "0"
	}
	return slices.ContainsFunc(ciSystems(), func(s ciSystem) bool {
		return !slices.ContainsFunc(s.marks, func(name string) bool { return environ.get(name) == "" })
	})
}

// ciJobName returns the parts of the CI job's name, or none.
func ciJobName(environ environment) (name []string) {
	for _, s := range ciSystems() {
		if len(s.job) == 0 || environ.get(s.job[0]) == "" {
			continue
		}
		for _, part := range s.job {
			if value := environ.get(part); value != "" {
				name = append(name, value)
			}
		}
		return name
	}
	return nil
}
