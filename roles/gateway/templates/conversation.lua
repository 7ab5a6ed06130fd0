-- Rendered by rackwright: which conversation a request belongs to. A chat goes on if its messages begin with all those of an
-- earlier request, so what it was before is everything up to the last message that the model wrote. Texts are compared as they
-- were sent.
local find, byte, sub, match = string.find, string.byte, string.sub, string.match
local QUOTE, OPEN_ARRAY, OPEN_OBJECT = byte('"[{', 1, 3)

-- Return where the messages begin and end, and where the last one begins that the model wrote; nil: there are none.
local function messages(body)
    local at, depth, first, message, written = 1, 0, nil, nil, nil
    while true do
        local found = find(body, '["%[%]{}]', at)
        if not found then return nil end
        local letter = byte(body, found)
        at = found + 1
        if letter == QUOTE then
            local quote = closing_quote(body, at)
            if not quote then return nil end
            local text = sub(body, at, quote - 1)
            if depth == 1 and not first and text == "messages" then
                local _, opening = find(body, "^%s*:%s*%[", quote + 1)
                first = opening and opening + 1
            elseif depth == 3 and first and text == "role" and match(body, '^%s*:%s*"(%a+)"', quote + 1) == "assistant" then
                written = message
            end
            at = quote + 1
        elseif letter == OPEN_ARRAY or letter == OPEN_OBJECT then
            depth = depth + 1
            if depth == 3 then message = found end
        else
            depth = depth - 1
            if depth == 1 and first then return first, found - 1, written end
        end
    end
end

local function trimmed(text)
    return (text:gsub("^%s+", ""):gsub("[%s,]+$", ""))
end

-- Return what the request asks, and what the one before asked if it has answers in it.
local function asked(path, body)
    -- All embeddings of a client are one conversation: those of two models can't be compared.
    if path == "/v1/embeddings" then return "" end
    local first, last, written = messages(body)
    if not first then return body end
    return trimmed(sub(body, first, last)), written and trimmed(sub(body, first, written - 1))
end

core.register_action("conversation", { "http-req" }, function(txn)
    local whose = string.format("%s|%s|%s|", txn:get_var("txn.deal"), txn:get_var("txn.key"), txn:get_var("txn.model"))
    local function hashed(text) return tostring(txn.c:xxh64(whose .. text)) end
    local now, before = asked(txn.f:path(), txn.f:req_body() or "")
    if before then txn:set_var("txn.goes_on", "yes") end
    local name = txn.f:req_hdr("x-conversation-id")
    if name then now, before = "named|" .. name, "named|" .. name end
    txn:set_var("txn.asked", hashed(now))
    if before then txn:set_var("txn.before", hashed(before)) end
    txn:set_var("txn.drawn", txn.c:xxh32(whose .. now) % 1000000)
end)
