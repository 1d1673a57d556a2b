-- Reads a certificate chain and its key in PEM, by the library that nginx itself is linked with: what is accepted here can
-- be served, and what nginx would refuse in a handshake is refused before anything is kept.
local ffi = require "ffi"
local ssl = require "ngx.ssl"

ffi.cdef [[
int OPENSSL_sk_num(const void *stack);
void *OPENSSL_sk_value(const void *stack, int at);
void *OPENSSL_sk_new_null(void);
int OPENSSL_sk_push(void *stack, const void *item);
void OPENSSL_sk_free(void *stack);
int X509_check_host(void *certificate, const char *name, size_t length, unsigned int flags, char **found);
const void *X509_get0_notBefore(const void *certificate);
const void *X509_get0_notAfter(const void *certificate);
void *X509_get_issuer_name(const void *certificate);
int X509_NAME_get_text_by_NID(void *name, int nid, char *text, int length);
const void *X509_get0_serialNumber(const void *certificate);
void *X509_get_ext_d2i(const void *certificate, int nid, int *is_critical, int *at);
void *GENERAL_NAME_get0_value(const void *name, int *kind);
void GENERAL_NAMES_free(void *names);
const unsigned char *ASN1_STRING_get0_data(const void *text);
int ASN1_STRING_length(const void *text);
struct deploy_apps_tm {
    int second, minute, hour, day, month, year, weekday, yearday, is_dst;
    long offset;
    const char *zone;
};
int ASN1_TIME_to_tm(const void *time, struct deploy_apps_tm *tm);
int64_t timegm(struct deploy_apps_tm *tm);
void *ASN1_INTEGER_to_BN(const void *integer, void *number);
char *BN_bn2hex(const void *number);
void BN_free(void *number);
void CRYPTO_free(void *memory, const char *file, int line);
int i2d_X509(const void *certificate, unsigned char **out);
unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);
const void *TLS_server_method(void);
void *SSL_CTX_new(const void *method);
void SSL_CTX_free(void *context);
int SSL_CTX_use_cert_and_key(void *context, void *certificate, void *key, void *chain, int is_override);
unsigned long ERR_peek_last_error(void);
const char *ERR_reason_error_string(unsigned long code);
void ERR_clear_error(void);
]]

local C = ffi.C
local NAMES_EXTENSION, DNS_NAME = 85, 2
local ORGANIZATION, COMMON_NAME = 17, 13
-- A certificate without names for hosts is none for browsers either, whatever its subject says.
local NEVER_THE_SUBJECT = 0x20
local MOST_CERTIFICATES, MOST_NAMES = 10, 1000

local _M = { LONGEST_CHAIN = 65536, LONGEST_KEY = 16384 }

local function seconds(time)
    local tm = ffi.new("struct deploy_apps_tm")
    return C.ASN1_TIME_to_tm(time, tm) == 1 and tonumber(C.timegm(tm)) or 0
end

local function part_of(name, nid)
    local text = ffi.new("char[256]")
    return C.X509_NAME_get_text_by_NID(name, nid, text, 256) > 0 and ffi.string(text) or nil
end

local function issuer(certificate)
    local name = C.X509_get_issuer_name(certificate)
    local common, organization = part_of(name, COMMON_NAME), part_of(name, ORGANIZATION)
    return organization and common and organization .. " " .. common or common or organization or "unknown"
end

local function serial(certificate)
    local number = C.ASN1_INTEGER_to_BN(C.X509_get0_serialNumber(certificate), nil)
    local text = C.BN_bn2hex(number)
    local shown = ffi.string(text):lower()
    C.CRYPTO_free(text, "", 0)
    C.BN_free(number)
    return shown
end

local function names(certificate)
    local found = {}
    local list = C.X509_get_ext_d2i(certificate, NAMES_EXTENSION, nil, nil)
    if list == nil then
        return found
    end
    local kind = ffi.new("int[1]")
    for at = 0, math.min(C.OPENSSL_sk_num(list), MOST_NAMES) - 1 do
        local value = C.GENERAL_NAME_get0_value(C.OPENSSL_sk_value(list, at), kind)
        if kind[0] == DNS_NAME then
            local text = ffi.string(C.ASN1_STRING_get0_data(value), C.ASN1_STRING_length(value))
            found[#found + 1] = text:lower():match("^[%w.*_-]+$")
        end
    end
    C.GENERAL_NAMES_free(list)
    return found
end

-- SHA-256 over all certificates of the chain: a renewed one, or another intermediate, is another id. No key goes into it.
local function id_of(chain)
    local parts = {}
    for at = 0, C.OPENSSL_sk_num(chain) - 1 do
        local certificate = C.OPENSSL_sk_value(chain, at)
        local length = C.i2d_X509(certificate, nil)
        local bytes = ffi.new("unsigned char[?]", length)
        local out = ffi.new("unsigned char *[1]", bytes)
        C.i2d_X509(certificate, out)
        parts[#parts + 1] = ffi.string(bytes, length)
    end
    local data, digest = table.concat(parts), ffi.new("unsigned char[32]")
    C.SHA256(data, #data, digest)
    return (ffi.string(digest, 32):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- Why nginx could not serve this pair; nil when it can. The very check that a handshake makes.
local function unusable(chain, key)
    local context = C.SSL_CTX_new(C.TLS_server_method())
    local rest = C.OPENSSL_sk_new_null()
    for at = 1, C.OPENSSL_sk_num(chain) - 1 do
        C.OPENSSL_sk_push(rest, C.OPENSSL_sk_value(chain, at))
    end
    local is_fine = C.SSL_CTX_use_cert_and_key(context, C.OPENSSL_sk_value(chain, 0), key, rest, 1) == 1
    local reason = not is_fine and C.ERR_reason_error_string(C.ERR_peek_last_error())
    local text = reason and (reason ~= nil and ffi.string(reason) or "it is refused")
    C.ERR_clear_error()
    C.OPENSSL_sk_free(rest)
    C.SSL_CTX_free(context)
    return text or nil
end

local function covers(certificate, host)
    return C.X509_check_host(certificate, host, #host, NEVER_THE_SUBJECT, nil) == 1
end

-- The chain and the key as nginx wants them; nil, the field and what is wrong with it.
function _M.parse(chain, key)
    if type(chain) ~= "string" or #chain > _M.LONGEST_CHAIN then
        return nil, "chain", ("is not a text of at most %d bytes"):format(_M.LONGEST_CHAIN)
    elseif type(key) ~= "string" or #key > _M.LONGEST_KEY then
        return nil, "key", ("is not a text of at most %d bytes"):format(_M.LONGEST_KEY)
    end
    local parsed = ssl.parse_pem_cert(chain)
    if not parsed or C.OPENSSL_sk_num(parsed) > MOST_CERTIFICATES then
        C.ERR_clear_error()
        return nil, "chain", ("is not a list of 1 to %d certificates in PEM"):format(MOST_CERTIFICATES)
    end
    local parsed_key = ssl.parse_pem_priv_key(key)
    if not parsed_key then
        C.ERR_clear_error()
        return nil, "key", "is not a private key in PEM without a passphrase"
    end
    return { chain = parsed, key = parsed_key }
end

-- What the pair is, for everybody to see: { id, names, not_before, not_after, issuer, serial }, times in ms. nil, the field and
-- what is wrong with it, when it cannot serve `host`.
function _M.facts(pair, host, now)
    local why = unusable(pair.chain, pair.key)
    if why then
        return nil, "chain", "cannot be served with this key: " .. why
    end
    local leaf = C.OPENSSL_sk_value(pair.chain, 0)
    if not covers(leaf, host) then
        return nil, "chain", "does not cover the host"
    end
    local not_after = seconds(C.X509_get0_notAfter(leaf))
    if now and not_after <= now then
        return nil, "chain", "has expired"
    end
    return {
        id = id_of(pair.chain),
        names = names(leaf),
        not_before = seconds(C.X509_get0_notBefore(leaf)) * 1000,
        not_after = not_after * 1000,
        issuer = issuer(leaf),
        serial = serial(leaf),
    }
end

return _M
