-- Types of which schema.lua makes up an app's record. Each has `check(value, field)`, which returns the canonical value or
-- refuses by an error { field, message }; `text(value)`, the JSON of a canonical value; and, where JSON's null has to go,
-- `read(value)`, which brings what `text` wrote back to the canonical value.
local json = require "json"

local _M = {}

local null = json.null

local function refuse(field, message)
    error({ field = field, message = message }, 0)
end

_M.refuse = refuse

local function is_given(value)
    return value ~= nil and value ~= null
end

local function whole(value)
    return ("%d"):format(value)
end

-- A text that `pattern` matches.
function _M.text(pattern, longest)
    return {
        text = json.encode,
        check = function(value, field)
            if type(value) ~= "string" or #value > longest or not value:find(pattern) then
                refuse(field, ("is not a valid text of at most %d bytes"):format(longest))
            end
            return value
        end,
    }
end

-- A text that `check(value, field)` looks at once more.
function _M.text_like(pattern, longest, check)
    local plain = _M.text(pattern, longest)
    return { text = json.encode, check = function(value, field) return check(plain.check(value, field), field) end }
end

function _M.integer(least, most)
    return {
        text = whole,
        check = function(value, field)
            if type(value) ~= "number" or value ~= math.floor(value) or value < least or value > most then
                refuse(field, ("is not a whole number from %d to %d"):format(least, most))
            end
            return value
        end,
    }
end

_M.flag = {
    text = tostring,
    check = function(value, field)
        if type(value) ~= "boolean" then
            refuse(field, "is not true or false")
        end
        return value
    end,
}

-- One of two or more words or numbers.
function _M.choice(words)
    local named, known = {}, {}
    for position, word in ipairs(words) do
        named[position] = "`" .. word .. "`"
        known[word] = true
    end
    local message = "is neither " .. table.concat(named, " nor ")
    return {
        text = json.encode,
        check = function(value, field)
            if not known[value] then
                refuse(field, message)
            end
            return value
        end,
    }
end

local function check_unique(items, field, key_of, what)
    local seen = {}
    for position, item in ipairs(items) do
        local key = key_of(item)
        if seen[key] then
            refuse(("%s[%d]"):format(field, position - 1), "repeats " .. what)
        end
        seen[key] = true
    end
end

-- At most `most` of a type. Where no two may be alike, `key_of(item)` says what they must differ in and `what` names that.
function _M.list(of, most, key_of, what)
    return {
        check = function(value, field)
            if type(value) ~= "table" or #value == 0 and next(value) ~= nil then
                refuse(field, "is not a list")
            end
            if #value > most then
                refuse(field, ("has %d entries, the limit is %d"):format(#value, most))
            end
            local checked = {}
            for position, item in ipairs(value) do
                checked[position] = of.check(item, ("%s[%d]"):format(field, position - 1))
            end
            if key_of then
                check_unique(checked, field, key_of, what)
            end
            return checked
        end,
        text = function(items)
            local texts = {}
            for position, item in ipairs(items) do
                texts[position] = of.text(item)
            end
            return json.list(texts)
        end,
        read = of.read and function(items)
            for position, item in ipairs(items) do
                items[position] = of.read(item)
            end
            return items
        end,
    }
end

local function check_names(value, path, known)
    if type(value) ~= "table" then
        refuse(path, "is not an object")
    end
    for name in pairs(value) do
        if not known[name] then
            refuse((path == "" and "" or path .. ".") .. tostring(name), "is not a field of API 1")
        end
    end
end

-- Fields in the order in which they are written: { name, type }, with `default` or `optional` where one need not be given. With
-- `feature` it is optional and left out where it is not given, so that a record without it is the same text as before the
-- feature; other fields are null then.
function _M.object(fields)
    local known, keys = {}, {}
    for position, field in ipairs(fields) do
        known[field[1]] = true
        keys[position] = json.encode(field[1]) .. ":"
        field.optional = field.optional or field.feature ~= nil
    end
    return {
        fields = fields,
        check = function(value, path)
            check_names(value, path, known)
            local checked, prefix = {}, path == "" and "" or path .. "."
            for _, field in ipairs(fields) do
                local name, given = field[1], value[field[1]]
                if is_given(given) or field.default == nil and not field.optional then
                    checked[name] = field[2].check(given, prefix .. name)
                else
                    checked[name] = field.default
                end
            end
            return checked
        end,
        text = function(value)
            local texts = {}
            for position, field in ipairs(fields) do
                local given = value[field[1]]
                if given ~= nil then
                    texts[#texts + 1] = keys[position] .. field[2].text(given)
                elseif not field.feature then
                    texts[#texts + 1] = keys[position] .. "null"
                end
            end
            return "{" .. table.concat(texts, ",") .. "}"
        end,
        read = function(value)
            for _, field in ipairs(fields) do
                local name, read, given = field[1], field[2].read, value[field[1]]
                if not is_given(given) then
                    value[name] = field.default
                elseif read then
                    value[name] = read(given)
                end
            end
            return value
        end,
    }
end

return _M
