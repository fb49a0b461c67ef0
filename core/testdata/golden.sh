#!/bin/bash
# Prints golden.txt: values of ecoin's formats computed by the openssl command
# (3.0 or later) alone, for golden_test.go. The only random part is the OAEP seed
# of rsa_record. Usage: cd core/testdata && ./golden.sh >golden.txt
set -euo pipefail

hex() { od -An -v -tx1 | tr -d ' \n'; }
bin() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
hmac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary | hex; } # key hex; data on stdin
sha() { openssl dgst -sha256 -binary | hex; }
say() { echo "$1 $2"; }
zeros() { head -c "$1" /dev/zero; }
text() { printf %s "$1" | hex; }

echo '# Made by golden.sh; hex.'

# Mint.
issue=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
fpkey=202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
salt=404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f
say issue_key $issue
say fingerprint_key $fpkey
say salt $salt
coins=$(zeros 96 | openssl enc -chacha20 -K "$(bin $salt | hmac $issue)" -iv 00000000000000000000000000000000 | hex)
say coins "$coins"
fps=
for i in 0 1 2; do
	fps+=$(bin "${coins:64*i:64}" | openssl enc -aes-256-cbc -nopad -K $fpkey -iv 00000000000000000000000000000000 | tail -c 16 | hex)
done
say fingerprints "$fps"

# Key ids.
x25519=4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a # RFC 9180 A.2.1, pkRm
rsa=$(openssl pkey -in rsa3072.pem -pubout -outform DER | hex)
xid=$(bin "10$x25519" | sha | head -c 16)
rid=$(bin "01$rsa" | sha | head -c 16)
say x25519_key_id "$xid"
say rsa_public_key "$rsa"
say rsa_key_id "$rid"

# A header of suite rsa3072.
coin=a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf
iv=c0c1c2c3c4c5c6c7c8c9cacbcccdcecf
say coin $coin
say iv $iv
bound=01010100$rid
header=$(bin $coin$iv | openssl pkeyutl -encrypt -inkey rsa3072.pem -pkeyopt rsa_padding_mode:oaep \
	-pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -pkeyopt "rsa_oaep_label:$(text 'ecoin/v1 header')$bound" | hex)
say rsa_record "$bound$header"
say rsa_record_digest "$(bin "$bound$header" | sha | head -c 32)"

# The payload of a request and of a reply, around that header.
message() { # kind, what stands between prefix and ciphertext, CBC IV, plaintext file
	local ct key msg
	ct=$(openssl enc -aes-256-cbc -K $coin -iv "$3" -in "$4" | hex)
	msg=0101$1'00'$rid$(printf %08x $((${#ct} / 2)))$2$ct
	key=$(bin "$(text 'ecoin/v1 mac')01$1${iv}01" | hmac $coin)
	echo "$msg$(bin "$msg" | hmac "$key")"
}
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
bin "07$(text 'summary')$(text 'time,temperature
0,20.5
60,20.75
')" >"$tmp"
say request_plaintext "$(hex <"$tmp")"
say request "$(message 01 "$header" $iv "$tmp")"
bin "00$(text 'temperature mean 20.625')" >"$tmp"
reply_iv=d0d1d2d3d4d5d6d7d8d9dadbdcdddedf
say reply_plaintext "$(hex <"$tmp")"
say reply "$(message 02 $reply_iv $reply_iv "$tmp")"
