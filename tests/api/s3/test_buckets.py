"""Buckets: names, ownership, regions, configuration documents."""

from __future__ import annotations

import pytest
from tests.api.s3.harness import S3, failing

POLICY = (
    '{"Version":"2012-10-17","Statement":'
    '[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}'
)


async def test_a_bucket_is_made_found_listed_and_deleted(s3: S3) -> None:
    await s3("CreateBucket", Bucket="one")
    await s3("CreateBucket", Bucket="sagemaker-us-east-1-000000000000")
    assert (await s3("HeadBucket", Bucket="one"))["BucketRegion"] == "us-east-1"
    assert await s3("GetBucketLocation", Bucket="one") == {}
    listed = await s3("ListBuckets")
    assert [each["Name"] for each in listed["Buckets"]] == ["one", "sagemaker-us-east-1-000000000000"]
    page = await s3("ListBuckets", MaxBuckets=1)
    assert [each["Name"] for each in page["Buckets"]] == ["one"]
    rest = await s3("ListBuckets", ContinuationToken=page["ContinuationToken"])
    assert [each["Name"] for each in rest["Buckets"]] == ["sagemaker-us-east-1-000000000000"]
    assert [each["Name"] for each in (await s3("ListBuckets", Prefix="o"))["Buckets"]] == ["one"]
    await s3("DeleteBucket", Bucket="one")
    await failing(s3("HeadBucket", Bucket="one"), "NoSuchBucket", 404)
    await failing(s3("DeleteBucket", Bucket="one"), "NoSuchBucket", 404)


@pytest.mark.parametrize(
    "name", ["ab", "x" * 64, "Upper", "under_score", "-a-", "a..b", "192.168.0.1", "xn--a", "a-s3alias", "../up", "a/b"]
)
async def test_names_that_no_bucket_has(s3: S3, name: str) -> None:
    await failing(s3("CreateBucket", Bucket=name), "InvalidBucketName", 400)


async def test_one_s_own_bucket_again(s3: S3) -> None:
    west = S3(s3.platform, region="us-west-2")
    await s3("CreateBucket", Bucket="east")
    await s3("CreateBucket", Bucket="east")
    await west("CreateBucket", Bucket="west", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    again = west("CreateBucket", Bucket="west", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    await failing(again, "BucketAlreadyOwnedByYou", 409)


async def test_somebody_else_s_bucket(s3: S3, bucket: str) -> None:
    other = S3(s3.platform, account="111111111111")
    await failing(other("CreateBucket", Bucket=bucket), "BucketAlreadyExists", 409)
    await failing(s3("ListObjectsV2", Bucket=bucket, ExpectedBucketOwner="111111111111"), "AccessDenied", 403)


async def test_a_bucket_lives_in_its_region(s3: S3) -> None:
    west = S3(s3.platform, region="us-west-2")
    await s3("CreateBucket", Bucket="west", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    assert await s3("GetBucketLocation", Bucket="west") == {"LocationConstraint": "us-west-2"}
    assert (await s3("HeadBucket", Bucket="west"))["BucketRegion"] == "us-west-2"
    await west("PutObject", Bucket="west", Key="key", Body=b"data")
    error = await failing(s3("GetObject", Bucket="west", Key="key"), "PermanentRedirect", 301)
    assert error.fields["Region"] == "us-west-2"
    await failing(west("CreateBucket", Bucket="new"), "IllegalLocationConstraintException", 400)
    constraint = {"LocationConstraint": "us-east-1"}
    await failing(
        s3("CreateBucket", Bucket="new", CreateBucketConfiguration=constraint), "InvalidLocationConstraint", 400
    )


async def test_only_an_empty_bucket_is_deleted_and_its_uploads_go_with_it(s3: S3, bucket: str) -> None:
    await s3("PutObject", Bucket=bucket, Key="key", Body=b"data")
    upload = await s3("CreateMultipartUpload", Bucket=bucket, Key="other")
    await s3("UploadPart", Bucket=bucket, Key="other", UploadId=upload["UploadId"], PartNumber=1, Body=b"part")
    await failing(s3("DeleteBucket", Bucket=bucket), "BucketNotEmpty", 409)
    await s3("DeleteObject", Bucket=bucket, Key="key")
    await s3("DeleteBucket", Bucket=bucket)
    await s3.sweep()
    assert not (s3.platform.settings.data.objects / bucket).exists()
    await s3("CreateBucket", Bucket=bucket)
    assert await s3.keys(Bucket=bucket) == []


@pytest.mark.parametrize(
    ("noun", "member", "document", "answer", "missing"),
    [
        ("BucketTagging", "Tagging", {"TagSet": [{"Key": "a", "Value": "b"}]}, None, "NoSuchTagSet"),
        ("BucketPolicy", "Policy", POLICY, "Policy", "NoSuchBucketPolicy"),
        (
            "BucketCors",
            "CORSConfiguration",
            {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
            None,
            "NoSuchCORSConfiguration",
        ),
        (
            "PublicAccessBlock",
            "PublicAccessBlockConfiguration",
            {"BlockPublicAcls": True},
            "PublicAccessBlockConfiguration",
            "NoSuchPublicAccessBlockConfiguration",
        ),
        (
            "BucketOwnershipControls",
            "OwnershipControls",
            {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
            "OwnershipControls",
            "OwnershipControlsNotFoundError",
        ),
    ],
)
async def test_a_document_is_kept_returned_and_removed(
    s3: S3, bucket: str, noun: str, member: str, document: object, answer: str | None, missing: str
) -> None:
    await s3(f"Delete{noun}", Bucket=bucket)  # a new bucket has some of them
    await failing(s3(f"Get{noun}", Bucket=bucket), missing, 404)
    await s3(f"Put{noun}", Bucket=bucket, **{member: document})
    told = await s3(f"Get{noun}", Bucket=bucket)
    assert (told[answer] if answer else told) == document
    await s3(f"Delete{noun}", Bucket=bucket)
    await failing(s3(f"Get{noun}", Bucket=bucket), missing, 404)


async def test_defaults_of_a_new_bucket(s3: S3, bucket: str) -> None:
    assert await s3("GetBucketVersioning", Bucket=bucket) == {}
    rules = (await s3("GetBucketEncryption", Bucket=bucket))["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    owned = await s3("GetBucketOwnershipControls", Bucket=bucket)
    assert owned["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    acl = await s3("GetBucketAcl", Bucket=bucket)
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]


async def test_documents_that_make_no_sense(s3: S3, bucket: str) -> None:
    await failing(s3("PutBucketPolicy", Bucket=bucket, Policy="not json"), "MalformedPolicy", 400)
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    await failing(s3("PutBucketTagging", Bucket=bucket, Tagging=twice), "InvalidTag", 400)
    await failing(
        s3("PutBucketVersioning", Bucket=bucket, VersioningConfiguration={}),
        "IllegalVersioningConfigurationException",
        400,
    )
    kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "mine"}}]}
    await failing(
        s3("PutBucketEncryption", Bucket=bucket, ServerSideEncryptionConfiguration=kms), "InvalidArgument", 400
    )
    rules = {"CORSRules": [{"AllowedMethods": ["TRACE"], "AllowedOrigins": ["*"]}]}
    await failing(s3("PutBucketCors", Bucket=bucket, CORSConfiguration=rules), "InvalidRequest", 400)
    await failing(s3("PutBucketAcl", Bucket=bucket, ACL="public-read"), "AccessControlListNotSupported", 400)
