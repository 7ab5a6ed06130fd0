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
-- which a client would choose among other clients' prompts, or see how much of one was reused. And vLLM's order of requests.
local INTERNAL = {
    chat_parser = true, grammar_lazy = true, grammar_triggers = true,
    priority = true, id_slot = true, n_cache_reuse = true, return_progress = true, verbose = true,
}

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

-- Return a reader for read_json. Afterwards its `wrong` is "depth", "groups", "range" or "internal" if an engine must not get
-- the body, and nil if it may. A body that isn't JSON may be judged wrongly: engines refuse it.
function limits_of(body)
    local limits = {}
    local compiled, arguments, lengths = false, false, {}
    local function key(depth, first, last)
        local name = unescaped(sub(body, first, last))
        if depth == 1 and INTERNAL[name] then return "internal" end
        compiled = COMPILED[name]
        arguments = name == "arguments"
        if (LENGTHS[name] or INTEGERS[name]) and lengths[depth] and endless(body, last + 2, name, lengths[depth]) then
            return "range"
        end
    end
    local function value(first, last)
        if arguments then
            arguments = false
            return deep_inside(sub(body, first, last)) and "depth" or nil
        elseif compiled then
            compiled = false
            local text = sub(body, first, last)
            return too_many_groups(text) and "groups" or reversed_range(text) and "range" or nil
        end
    end
    function limits.text(depth, first, last, is_key)
        if limits.wrong then return end
        if is_key then limits.wrong = key(depth, first, last) else limits.wrong = value(first, last) end
    end
    function limits.opens(depth)
        compiled, arguments = false, false
        if depth >= deepest then limits.wrong = limits.wrong or "depth" else lengths[depth + 1] = {} end
    end
    function limits.closes() end
    return limits
end

-- Parameters with which a client would choose other models at some clouds.
local OTHER_MODELS = { models = true, fallbacks = true }

-- Words that JSON has outside of strings; e as in 1e5.
local WORDS = { ["true"] = true, ["false"] = true, null = true, e = true, E = true }

-- Return "model" if the body may say more than once which model it is for, "internal" if it may name other models, nil if not.
-- The key may not be for what a cloud takes. The gateway takes the first model. A cloud may take the last, may ignore case, and
-- may read what isn't JSON: comments, other quotes, names without quotes or with needless escapes.
function ambiguous(body)
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
