package valetkey

/** Valetkey's responses and a model's input never nest this deep. The limit prevents a stack overflow. */
internal const val MAX_DEPTH = 32

/** Text that is not JSON (RFC 8259). */
internal class JsonException(message: String, at: Int) : Exception("$message at character $at")

/**
 * Parses JSON into `null`, `Boolean`, `Long`, `Double`, `String`, `List` and `Map`. Strict: also refuses duplicate
 * members.
 */
internal fun parseJson(text: String): Any? = JsonReader(text).document()

private class JsonReader(private val text: String) {
    private var at = 0

    fun document(): Any? {
        val value = value(0)
        skipBlanks()
        if (at < text.length) fail("text after the value")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > MAX_DEPTH) fail("nested too deeply")
        skipBlanks()
        return when (peek()) {
            '{' -> members(depth)
            '[' -> items(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun members(depth: Int): Map<String, Any?> {
        val members = LinkedHashMap<String, Any?>()
        at += 1
        if (takeAfterBlanks('}')) return members
        do {
            skipBlanks()
            if (peek() != '"') fail("expected a member's name")
            val name = string()
            if (!takeAfterBlanks(':')) fail("expected a colon")
            if (name in members) fail("duplicate member")
            members[name] = value(depth + 1)
        } while (takeAfterBlanks(','))
        if (!takeAfterBlanks('}')) fail("object not closed")
        return members
    }

    private fun items(depth: Int): List<Any?> {
        val items = ArrayList<Any?>()
        at += 1
        if (takeAfterBlanks(']')) return items
        do items.add(value(depth + 1)) while (takeAfterBlanks(','))
        if (!takeAfterBlanks(']')) fail("array not closed")
        return items
    }

    private fun string(): String {
        val out = StringBuilder()
        at += 1
        while (true) {
            val character = peek() ?: fail("string not closed")
            at += 1
            when {
                character == '"' -> return out.toString()
                character == '\\' -> out.append(escaped())
                character < ' ' -> fail("control character in a string")
                else -> out.append(character)
            }
        }
    }

    private fun escaped(): Char {
        val character = peek() ?: fail("string not closed")
        at += 1
        return when (character) {
            '"', '\\', '/' -> character
            'b' -> '\b'
            'f' -> '\u000c'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> unit()
            else -> fail("unknown escape")
        }
    }

    private fun unit(): Char {
        if (at + 4 > text.length) fail("expected four hex digits")
        var unit = 0
        repeat(4) {
            val digit = HEX_DIGITS.indexOf(text[at].lowercaseChar())
            if (digit < 0) fail("expected four hex digits")
            unit = unit * 16 + digit
            at += 1
        }
        return unit.toChar()
    }

    private fun number(): Number {
        val match = NUMBER.find(text, at)?.takeIf { it.range.first == at } ?: fail("expected a value")
        at = match.range.last + 1
        val isInteger = match.groupValues[1].isEmpty()
        // An integer beyond `Long` becomes a `Double`, which is precise enough.
        return (if (isInteger) match.value.toLongOrNull() else null) ?: match.value.toDouble()
    }

    private fun word(word: String, value: Boolean?): Boolean? {
        if (!text.startsWith(word, at)) fail("expected a value")
        at += word.length
        return value
    }

    private fun skipBlanks() {
        while (peek().let { it == ' ' || it == '\n' || it == '\r' || it == '\t' }) at += 1
    }

    private fun takeAfterBlanks(character: Char): Boolean {
        skipBlanks()
        val isThere = peek() == character
        if (isThere) at += 1
        return isThere
    }

    private fun peek(): Char? = if (at < text.length) text[at] else null

    private fun fail(what: String): Nothing = throw JsonException(what, at)
}

private const val HEX_DIGITS = "0123456789abcdef"
private val NUMBER = Regex("-?(?:0|[1-9][0-9]*)((?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
