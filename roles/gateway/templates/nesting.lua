-- Rendered by rackwright: how deeply a request nests. Engines read JSON, patterns and grammars with recursive functions, so a
-- request that nests deeply enough ends the engine for everybody. So does a repetition that ends below its start.
-- Arguments: how many arrays and objects may nest, and how many groups a pattern or grammar may have.
local deepest, most_groups = tonumber((...)), tonumber((select(2, ...)))
local find, byte, sub = string.find, string.byte, string.sub
local QUOTE, OPEN_ARRAY, OPEN_OBJECT, CLOSE_ARRAY, CLOSE_OBJECT = byte('"[{]}', 1, 5)

-- Keys whose text an engine compiles.
local COMPILED = { pattern = true, grammar = true, regex = true, guided_regex = true, guided_grammar = true }

-- Keys of a schema that limit the same thing from both sides: key → least, most.
local LENGTHS = {
    minLength = { "minLength", "maxLength" }, maxLength = { "minLength", "maxLength" },
    minItems = { "minItems", "maxItems" }, maxItems = { "minItems", "maxItems" },
}
-- llama-server keeps lengths in 32 bits, and truncates longer ones.
local LONGEST = 2 ^ 31 - 1

-- Limits of integers. From 16 digits on, llama-server writes a repetition that ends below its start.
local INTEGERS = { minimum = true, maximum = true, exclusiveMinimum = true, exclusiveMaximum = true }
local LARGEST = 1e15

-- Parameters of llama-server that it sets itself from others, and that end it if a client sends wrong ones; and those with
-- which a client would choose among other clients' prompts, or see how much of one was reused.
local INTERNAL = {
    chat_parser = true, grammar_lazy = true, grammar_triggers = true,
    id_slot = true, n_cache_reuse = true, return_progress = true, verbose = true,
}

-- Return the key as the engine reads it: any character may be written with an escape.
local function unescaped(key)
    return (key:gsub("\\u00(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- An opening parenthesis may also be written \u0028. Closing ones don't count, because not each of them closes a group.
local function too_many_groups(text)
    local _, plain = text:gsub("%(", "")
    local _, escaped = text:gsub("\\u0028", "")
    return plain + escaped > most_groups
end

-- Whether a repetition may end below its start, such as {9,1}: llama-server counts from there without end. Nobody writes a
-- comment inside of one, where it could hide the end.
local function reversed_range(text)
    local plain = unescaped(text):gsub("\\[nrt]", " ")
    if find(plain, "{[%s%d,]*#") then return true end
    -- As std::stoi reads them, which ignores what follows a number.
    for least, most in plain:gmatch("{([^{},]*),([^{}]*)}") do
        least, most = tonumber(least:match("^%s*%+?(%-?%d+)")), tonumber(most:match("^%s*%+?(%-?%d+)"))
        if least and most and least > most then return true end
    end
    return false
end

-- Whether a schema's limit, the value of `key` that begins at `start`, makes llama-server count without end. `limits` are
-- those of the same object.
local function endless(body, start, key, limits)
    local value = tonumber(body:match("^%s*:%s*([%d.eE+-]+)", start))
    if not value then return false end
    if INTEGERS[key] then return math.abs(value) >= LARGEST end
    if value < 0 or value > LONGEST then return true end
    limits[key] = value
    local least, most = limits[LENGTHS[key][1]], limits[LENGTHS[key][2]]
    return least and most and least > most
end

-- Whether JSON within a string, which an engine reads as well, nests too deeply.
local function deep_inside(text)
    local depth = 0
    for letter in unescaped(text):gmatch("[%[%]{}]") do
        depth = depth + ((letter == "[" or letter == "{") and 1 or -1)
        if depth > deepest then return true end
    end
    return false
end

-- Return "depth", "groups", "range" or "internal" if the engine must not get the body, nil if it may. A body that isn't JSON may be
-- judged wrongly: engines refuse it.
local function excess(body)
    local at, depth, compiled, arguments, lengths = 1, 0, false, false, {}
    while true do
        local found = find(body, '["%[%]{}]', at)
        if not found then return nil end
        local letter = byte(body, found)
        at = found + 1
        if letter == QUOTE then
            local quote = closing_quote(body, at)
            if not quote then return nil end
            if find(body, "^%s*:", quote + 1) then
                local key = unescaped(sub(body, at, quote - 1))
                if depth == 1 and INTERNAL[key] then return "internal" end
                compiled = COMPILED[key]
                arguments = key == "arguments"
                if (LENGTHS[key] or INTEGERS[key]) and lengths[depth] and endless(body, quote + 1, key, lengths[depth]) then
                    return "range"
                end
            elseif arguments then
                if deep_inside(sub(body, at, quote - 1)) then return "depth" end
                arguments = false
            elseif compiled then
                local text = sub(body, at, quote - 1)
                if too_many_groups(text) then return "groups" end
                if reversed_range(text) then return "range" end
                compiled = false
            end
            at = quote + 1
        elseif letter == OPEN_ARRAY or letter == OPEN_OBJECT then
            depth, compiled, arguments = depth + 1, false, false
            if depth > deepest then return "depth" end
            lengths[depth] = {}
        else
            depth = depth - 1
        end
    end
end

-- Parameters with which a client would choose other models at some clouds.
local OTHER_MODELS = { models = true, fallbacks = true }

-- Words that JSON has outside of strings; e as in 1e5.
local WORDS = { ["true"] = true, ["false"] = true, null = true, e = true, E = true }

-- Return "model" if the body may say more than once which model it is for, "internal" if it may name other models, nil if not.
-- The key may not be for what a cloud takes. The gateway takes the first model. A cloud may take the last, may ignore case, and
-- may read what isn't JSON: comments, other quotes, names without quotes or with needless escapes.
local function ambiguous(body)
    local at, depth, models = 1, 0, 0
    while true do
        local found = find(body, "[^%s%d,:.+-]", at)
        if not found then return "model" end
        local letter = byte(body, found)
        at = found + 1
        if letter == QUOTE then
            local quote = closing_quote(body, at)
            if not quote then return "model" end
            if depth == 1 and find(body, "^%s*:", quote + 1) then
                local key = sub(body, at, quote - 1):lower()
                if find(key, "[^ -~]") or find(key, "\\", 1, true) then return "model" end
                if OTHER_MODELS[key] then return "internal" end
                models = models + (key == "model" and 1 or 0)
            end
            at = quote + 1
        elseif letter == OPEN_ARRAY or letter == OPEN_OBJECT then
            depth = depth + 1
        elseif letter == CLOSE_ARRAY or letter == CLOSE_OBJECT then
            depth = depth - 1
            if depth <= 0 then return (models > 1 or find(body, "%S", at)) and "model" or nil end
        else
            local word = body:match("^%a+", found)
            if not WORDS[word or ""] then return "model" end
            at = found + #word
        end
    end
end

-- Set txn.excess to what is wrong with the body, or to "none". If the script ends early, it isn't set. What ends an engine
-- doesn't end a cloud.
core.register_action("nesting", { "http-req" }, function(txn)
    -- A body of many small chunks fills the buffer before it is complete.
    local judge = txn:get_var("txn.cloud") and ambiguous or excess
    local wrong = txn.req:is_full() and "size" or judge(txn.f:req_body() or "")
    txn:set_var("txn.excess", wrong or "none")
end)
