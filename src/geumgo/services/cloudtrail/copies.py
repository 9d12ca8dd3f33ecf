"""Copies of records for those who do not have the files of the machine that wrote them: packed, under a MAC.

What all records have in common is in a dictionary that the packing begins with, so a copy holds what is its own: a third of the bytes.
Copies of before have none, and can be read all the same.
"""

import hashlib
import json
import zlib
from typing import Final

from geumgo.context import Params
from geumgo.sealing import Sealing

_MAC: Final = "cloudtrail_event"
_MAC_BYTES: Final = 36

_COMMON: Final = (
    b'","errorCode":"AccessDenied","errorMessage":"User: arn:aws:iam:::user/ is not authorized to perform: secretsmanager: on resource: '
    b'because no identity-based policy allows the action"AWSService","invokedBy":"secretsmanager.amazonaws.com"},"sourceIPAddress":'
    b'"secretsmanager.amazonaws.com","userAgent":"secretsmanager.amazonaws.com","eventSource":"sts.amazonaws.com","eventName":"AssumeRole"'
    b'"eventSource":"ssm.amazonaws.com","eventName":"GetParameter""eventSource":"iam.amazonaws.com","eventName":"GenerateDataKey'
    b'"PutSecretValue""CreateSecret""DescribeSecret""ListSecrets""clientRequestToken":"AssumedRole","principalId":"AROA:"arn":"arn:aws:sts::'
    b':assumed-role/"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA","arn":"arn:aws:iam:::role/","accountId":"","userName"'
    b':""},"attributes":{"creationDate":"2026-","mfaAuthenticated":"false"}}}"eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion"'
    b':"us-east-1","sourceIPAddress":"secretsmanager.amazonaws.com","requestParameters":{"encryptionAlgorithm":"SYMMETRIC_DEFAULT",'
    b'"encryptionContext":{"SecretARN":"arn:aws:secretsmanager:us-east-1::secret:","SecretVersionId":""}},"responseElements":null,"requestID":"'
    b'","readOnly":true,"resources":[{"ARN":"arn:aws:kms:us-east-1::key/","accountId":"","type":"AWS::KMS::Key"}],"tlsDetails":{"tlsVersion":'
    b'"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":""},"recipientAccountId":""'
    b'{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","principalId":"AIDA","arn":"arn:aws:iam:::user/","accountId":"","accessKeyId":"AKIA'
    b'","userName":""},"eventTime":"2026-11-29T00:00:00Z","eventSource":"secretsmanager.amazonaws.com","eventName":"GetSecretValue","awsRegion":'
    b'"us-east-1","sourceIPAddress":"127.0.0.1","userAgent":"aws-cli/2. Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux md/arch#x86_64 '
    b'lang/python#3.11","requestParameters":{"secretId":""},"responseElements":null,"requestID":"","readOnly":true,"resources":[{"ARN":'
    b'"arn:aws:secretsmanager:us-east-1::secret:","accountId":"","type":"AWS::SecretsManager::Secret"}],"eventType":"AwsApiCall",'
    b'"managementEvent":true,"recipientAccountId":"","eventCategory":"Management","eventID":"'
)
"""Nothing of it ever changes: without the very same bytes no copy can be read. Another one would stand beside it."""


def copy_of(sealing: Sealing, record: bytes) -> bytes:
    """Of a record with its eventID, as JSON."""
    packing = zlib.compressobj(3, zdict=_COMMON)
    return _vouched(sealing, packing.compress(record) + packing.flush())


def read_copy(sealing: Sealing, copy: bytes) -> Params:
    """The record. Raises Unsealable if the copy was changed."""
    record: Params = json.loads(unpacked(_packed(sealing, copy)))
    return record


def unpacked(packed: bytes) -> bytes:
    """Raises zlib.error."""
    return zlib.decompressobj(zdict=_COMMON).decompress(packed)


def vouched_anew(sealing: Sealing, copy: bytes) -> bytes:
    """The same copy with a MAC of the newest root key. Raises Unsealable if it was changed."""
    return _vouched(sealing, _packed(sealing, copy))


def _vouched(sealing: Sealing, packed: bytes) -> bytes:
    return sealing.vouch(_MAC, {"record": hashlib.sha256(packed).digest()}) + packed


def _packed(sealing: Sealing, copy: bytes) -> bytes:
    mac, packed = copy[:_MAC_BYTES], copy[_MAC_BYTES:]
    sealing.check(_MAC, {"record": hashlib.sha256(packed).digest()}, mac)
    return packed
