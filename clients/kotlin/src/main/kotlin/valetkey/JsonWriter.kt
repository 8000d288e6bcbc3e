package valetkey

import java.math.BigDecimal
import java.math.BigInteger

/** What an input can hold, for messages. */
private const val JSON = "a map with string keys, an Iterable, an array, a string, a number, a boolean or null"

/** Takes the place of half a surrogate pair, which UTF-8 cannot express and the API refuses. */
private const val REPLACEMENT = '\uFFFD'

/**
 * Returns the JSON of a request's body.
 *
 * @throws ValetkeyException that names the member that JSON cannot express
 */
internal fun writeJson(value: Any?): String = JsonWriter().apply { write(value, "", 0) }.toString()

private class JsonWriter {
    private val out = StringBuilder()

    override fun toString(): String = out.toString()

    /** Writes [value]. [at] is its path, such as `input.images[0]`. */
    fun write(value: Any?, at: String, depth: Int) {
        if (depth > MAX_DEPTH) throw invalid(at, "at most $MAX_DEPTH levels deep", "circular or deeper")
        when (value) {
            null -> out.append("null")
            is Boolean -> out.append(value)
            is CharSequence -> text(value)
            is Byte, is Short, is Int, is Long, is BigInteger, is BigDecimal -> out.append(value)
            is Float -> fraction(value, value.isFinite(), at)
            is Double -> fraction(value, value.isFinite(), at)
            is Map<*, *> -> members(value, at, depth)
            is Iterable<*> -> items(value, at, depth)
            is Array<*> -> items(value.asIterable(), at, depth)
            else -> throw invalid(at, JSON, value.javaClass.name)
        }
    }

    private fun fraction(value: Number, isFinite: Boolean, at: String) {
        if (!isFinite) throw invalid(at, "a finite number", "$value")
        out.append(value)
    }

    private fun members(value: Map<*, *>, at: String, depth: Int) {
        out.append('{')
        var count = 0
        for ((name, member) in value) {
            if (name !is CharSequence) throw invalid(at, "a map with string keys", "one with the key $name")
            if (count++ > 0) out.append(',')
            text(name)
            out.append(':')
            write(member, if (at.isEmpty()) "$name" else "$at.$name", depth + 1)
        }
        out.append('}')
    }

    private fun items(value: Iterable<*>, at: String, depth: Int) {
        out.append('[')
        value.forEachIndexed { index, item ->
            if (index > 0) out.append(',')
            write(item, "$at[$index]", depth + 1)
        }
        out.append(']')
    }

    private fun text(text: CharSequence) {
        out.append('"')
        text.forEachIndexed { index, character ->
            when {
                character == '"' || character == '\\' -> out.append('\\').append(character)
                character < ' ' -> out.append("\\u").append(character.code.toString(16).padStart(4, '0'))
                // Text that was cut inside a character, as `take` does with an emoji, ends in half of a pair.
                character.isSurrogate() && !isPaired(text, index) -> out.append(REPLACEMENT)
                else -> out.append(character)
            }
        }
        out.append('"')
    }

    private fun isPaired(text: CharSequence, index: Int) =
        if (text[index].isHighSurrogate()) text.getOrNull(index + 1)?.isLowSurrogate() == true else text.getOrNull(index - 1)?.isHighSurrogate() == true
}
