//! Answers of AWS as people have recorded them in public, each with its source and its meaning.

use ecs_scheduler_core::FaultKind;

use super::{Meaning, classify, names_refused_credentials, names_throttling};

struct Recorded {
    status: u16,
    code: &'static str,
    message: &'static str,
    meaning: Meaning,
    source: &'static str,
}

const RECORDED: &[Recorded] = &[
    Recorded {
        status: 400,
        code: "InvalidParameterException",
        message: "Error retrieving subnet information for [subnet-0123]: Rate exceeded (ErrorCode: Throttling)",
        meaning: Meaning::Throttled,
        source: "https://github.com/dagster-io/dagster/issues/33439",
    },
    Recorded {
        status: 400,
        code: "InvalidParameterException",
        message: "Error retrieving security group information for [sg-0123]: Request limit exceeded. (ErrorCode: \
                RequestLimitExceeded)",
        meaning: Meaning::Throttled,
        source: "https://github.com/dask/dask-cloudprovider/issues/56",
    },
    Recorded {
        status: 400,
        code: "InvalidParameterException",
        message: "com.amazonaws.services.ec2.model.AmazonEC2Exception: Request limit exceeded. (Service: AmazonEC2; \
                Status Code: 503; Error Code: RequestLimitExceeded; Request ID: 0)",
        meaning: Meaning::Throttled,
        source: "https://github.com/reproio/wrapbox/issues/32",
    },
    Recorded {
        status: 400,
        code: "InvalidParameterException",
        message: "Error retrieving security group information for [sg-0123]: An internal error has occurred (ErrorCode: \
                InternalError)",
        meaning: Meaning::Unavailable,
        source: "https://github.com/reproio/wrapbox/issues/43",
    },
    Recorded {
        status: 400,
        code: "InvalidParameterException",
        message: "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
        meaning: Meaning::Unavailable,
        source: "https://github.com/awslabs/fargatecli/issues/35",
    },
    Recorded {
        status: 400,
        code: "ThrottlingException",
        message: "Rate exceeded.",
        meaning: Meaning::Throttled,
        source: "https://github.com/cisagov/crossfeed/issues/247",
    },
    Recorded {
        status: 500,
        code: "ServerException",
        message: "Internal Error.",
        meaning: Meaning::Unavailable,
        source: "https://github.com/gchq/sleeper/issues/7500",
    },
    Recorded {
        status: 500,
        code: "AuthorizerConfigurationException",
        message: "",
        meaning: Meaning::Unavailable,
        source: "https://github.com/ASFHyP3/hyp3/issues/911",
    },
    Recorded {
        status: 400,
        code: "ExpiredTokenException",
        message: "The security token included in the request is expired",
        meaning: Meaning::Expired,
        source: "https://github.com/aws-samples/cdk-fargate-gitlab-runner/issues/15",
    },
    Recorded {
        status: 403,
        code: "ExpiredToken",
        message: "The security token included in the request is expired",
        meaning: Meaning::Expired,
        source: "https://github.com/mapbox/ecs-watchbot/issues/61",
    },
    Recorded {
        status: 400,
        code: "RequestExpired",
        message: "Request has expired.",
        meaning: Meaning::Signature,
        source: "https://github.com/aws/aws-sdk-java/issues/1443",
    },
    Recorded {
        status: 400,
        code: "InvalidSignatureException",
        message: "Signature expired: 20191209T104625Z is now earlier than 20191210T033904Z (20191210T034404Z - 5 min.)",
        meaning: Meaning::Signature,
        source: "https://github.com/fabfuel/ecs-deploy/issues/126",
    },
    Recorded {
        status: 400,
        code: "InvalidSignatureException",
        message: "Signature not yet current: 20181002T170509Z is still later than 20181002T170312Z (20181002T165812Z + 5 \
                min.)",
        meaning: Meaning::Signature,
        source: "https://github.com/aws/aws-sdk-go/issues/2194",
    },
    Recorded {
        status: 403,
        code: "SignatureDoesNotMatch",
        message: "Signature expired: 20141104T062952Z is now earlier than 20141104T062952Z (20141104T064452Z - 15 min.)",
        meaning: Meaning::Signature,
        source: "https://github.com/aws/aws-sdk-js/issues/401",
    },
    Recorded {
        status: 400,
        code: "UnrecognizedClientException",
        message: "The security token included in the request is invalid.",
        meaning: Meaning::UnknownKey,
        source: "https://github.com/boto/boto3/issues/509",
    },
    Recorded {
        status: 403,
        code: "InvalidClientTokenId",
        message: "The security token included in the request is invalid",
        meaning: Meaning::UnknownKey,
        source: "https://github.com/boto/botocore/pull/3600",
    },
    Recorded {
        status: 400,
        code: "InvalidIdentityToken",
        message: "Couldn't retrieve verification key from your identity provider,  please reference \
                AssumeRoleWithWebIdentity documentation for requirements",
        meaning: Meaning::Unavailable,
        source: "https://github.com/aws/aws-cli/issues/7194",
    },
    Recorded {
        status: 400,
        code: "ClientException",
        message: "TaskDefinition is inactive",
        meaning: Meaning::Invalid,
        source: "https://github.com/DefangLabs/defang/pull/775",
    },
    Recorded {
        status: 400,
        code: "ClientException",
        message: "Unable to describe task definition.",
        meaning: Meaning::Invalid,
        source: "https://github.com/sil-org/ecs-deploy/issues/145",
    },
    Recorded {
        status: 400,
        code: "InvalidParameterException",
        message: "taskId longer than 36.",
        meaning: Meaning::Invalid,
        source: "https://github.com/sil-org/ecs-deploy/issues/43",
    },
    Recorded {
        status: 400,
        code: "ClientException",
        message: "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/work' that was provided for this task. \
                Please verify that the role being passed has the proper trust relationship and permissions and that your \
                IAM user has permissions to pass this role.",
        meaning: Meaning::Invalid,
        source: "https://github.com/aws-samples/aws-modern-application-workshop/issues/149",
    },
    Recorded {
        status: 403,
        code: "AccessDeniedException",
        message: "User: arn:aws:sts::123456789012:assumed-role/node/i-0 is not authorized to perform: sqs:sendmessage on \
                resource: arn:aws:sqs:eu-west-1:123456789012:q because no identity-based policy allows the \
                sqs:sendmessage action",
        meaning: Meaning::Denied,
        source: "https://github.com/async-aws/aws/issues/1659",
    },
];

#[test]
fn recorded_responses_have_their_known_meaning() {
    for Recorded { status, code, message, meaning, source } in RECORDED {
        assert_eq!(classify(*status, code, message), *meaning, "{code}: {message} ({source})");
    }
}

#[test]
fn only_passing_failures_are_retried() {
    for recorded in RECORDED {
        let passes = !matches!(recorded.meaning, Meaning::Invalid | Meaning::Denied | Meaning::Missing);
        assert_eq!(recorded.meaning.kind().is_transient(), passes, "{}: {}", recorded.code, recorded.message);
    }
}

#[test]
fn codes_decide_over_messages_and_status() {
    let throttled = "Rate exceeded (ErrorCode: Throttling)";
    for (status, code, message, kind) in [
        (400, "ThrottlingException", "", FaultKind::Throttled),
        (400, "RequestLimitExceeded", "", FaultKind::Throttled),
        (400, "KmsThrottled", "", FaultKind::Throttled),
        (429, "", "", FaultKind::Throttled),
        (503, "SlowDown", "", FaultKind::Throttled),
        (400, "AccessDeniedException", throttled, FaultKind::Denied),
        (403, "", "", FaultKind::Denied),
        (400, "IncompleteSignature", "", FaultKind::Denied),
        (400, "ClusterNotFoundException", throttled, FaultKind::NotFound),
        (400, "ClusterNotFoundException", "Cluster not found.", FaultKind::NotFound),
        (400, "QueueDoesNotExist", "", FaultKind::NotFound),
        (400, "AWS.SimpleQueueService.NonExistentQueue", "", FaultKind::NotFound),
        (404, "", "", FaultKind::NotFound),
        (400, "InvalidParameterException", "", FaultKind::Config),
        (400, "TransactionConflictException", "", FaultKind::Unavailable),
        (400, "ServiceUnavailable", "", FaultKind::Unavailable),
        (400, "ServiceUnavailableException", "", FaultKind::Unavailable),
        (400, "InternalFailure", "", FaultKind::Unavailable),
        (400, "IDPCommunicationError", "", FaultKind::Unavailable),
        (403, "RequestTimeTooSkewed", "", FaultKind::Unavailable),
        (408, "", "", FaultKind::Unavailable),
        (500, "ServerException", "", FaultKind::Unavailable),
        (503, "", "", FaultKind::Unavailable),
    ] {
        assert_eq!(classify(status, code, message).kind(), kind, "{status} {code} {message}");
    }
}

#[test]
fn lasting_wrapped_failure_stays_invalid() {
    let missing = "Error retrieving subnet information for [subnet-0123]: The subnet ID 'subnet-0123' does not exist \
                   (ErrorCode: InvalidSubnetID.NotFound)";
    assert_eq!(classify(400, "InvalidParameterException", missing), Meaning::Invalid);
    let denied = "Error retrieving subnet information: not allowed (ErrorCode: UnauthorizedOperation)";
    assert_eq!(classify(400, "InvalidParameterException", denied), Meaning::Invalid);
}

#[test]
fn bodies_name_throttling_and_refused_credentials() {
    assert!(names_throttling("<Code>Throttling</Code>") && !names_throttling("QueueLimitExceeded"));
    assert!(names_refused_credentials(r#"{"__type":"ExpiredTokenException"}"#));
    assert!(names_refused_credentials("<Code>InvalidClientTokenId</Code>"));
    assert!(!names_refused_credentials(r#"{"__type":"AccessDeniedException"}"#));
}
