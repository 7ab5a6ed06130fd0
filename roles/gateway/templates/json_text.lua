-- Rendered by rackwright: reading JSON as text, for the other scripts.
local find, byte, sub, char = string.find, string.byte, string.sub, string.char
local BACKSLASH, OPEN_ARRAY, OPEN_OBJECT, QUOTE = byte('\\[{"', 1, 4)

-- Return where the string ends that begins at `start`, or nil.
function closing_quote(body, start)
    local quote = find(body, '"', start, true)
    while quote do
        local escapes = quote
        while byte(body, escapes - 1) == BACKSLASH and escapes > start do escapes = escapes - 1 end
        if (quote - escapes) % 2 == 0 then return quote end
        quote = find(body, '"', quote + 1, true)
    end
end

-- Return the key as a parser reads it: any character may be written with an escape.
function unescaped(key)
    return (key:gsub("\\u00(%x%x)", function(hex) return char(tonumber(hex, 16)) end))
end

-- Call `text(depth, first, last, is_key)` of each reader for each string, `opens(depth, at)` for each array and object, and
-- `closes(depth, at)` for its end. `depth` is how many arrays and objects are open outside of it. Return where the outermost
-- one ends; nil: it doesn't.
function read_json(body, readers)
    local at, depth = 1, 0
    while true do
        local found = find(body, '["%[%]{}]', at)
        if not found then return nil end
        local letter = byte(body, found)
        at = found + 1
        if letter == QUOTE then
            local quote = closing_quote(body, at)
            if not quote then return nil end
            local is_key = find(body, "^%s*:", quote + 1) ~= nil
            for _, reader in ipairs(readers) do reader.text(depth, at, quote - 1, is_key) end
            at = quote + 1
        elseif letter == OPEN_ARRAY or letter == OPEN_OBJECT then
            for _, reader in ipairs(readers) do reader.opens(depth, found) end
            depth = depth + 1
        else
            depth = depth - 1
            for _, reader in ipairs(readers) do reader.closes(depth, found) end
            if depth <= 0 then return found end
        end
    end
end

local SHORT = { [8] = "\\b", [9] = "\\t", [10] = "\\n", [12] = "\\f", [13] = "\\r", [34] = '\\"', [92] = "\\\\" }

-- Return how an escape is written that isn't needed: not at all.
local function needless(letter, hex)
    if letter == "/" then return "/" .. hex end
    if letter ~= "u" or #hex < 4 then return nil end
    local code = tonumber(hex, 16)
    return SHORT[code] or (code >= 32 and utf8.char(code) or nil)
end

-- Return the character that two escapes stand for (UTF-16).
local function joined(high, low)
    return utf8.char(0x10000 + ((utf8.codepoint(high, 1, 1, true) & 0x3FF) << 10) + (utf8.codepoint(low, 1, 1, true) & 0x3FF))
end

-- Return JSON text in which only those characters are written with an escape that need one. What means the same is the same.
function plain(text)
    if not find(text, "\\[u/]") then return text end
    text = text:gsub("\\(.)(%x?%x?%x?%x?)", needless)
    return (text:gsub("(\xED[\xA0-\xAF][\x80-\xBF])(\xED[\xB0-\xBF][\x80-\xBF])", joined))
end
