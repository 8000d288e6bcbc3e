package valetkey

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

class JsonTest {
    @Test
    fun `reads every kind of value`() {
        val text = """ {"text":"a\"\\\/\b\f\n\r\tß\ud83d\ude00","whole":-12,"part":-1.5e2,"list":[true,false,null,[]],"empty":{}} """
        val expected = mapOf(
            "text" to "a\"\\/\b\u000c\n\r\tß😀",
            "whole" to -12L,
            "part" to -150.0,
            "list" to listOf(true, false, null, emptyList<Any>()),
            "empty" to emptyMap<String, Any>(),
        )
        assertEquals(expected, parseJson(text))
    }

    @Test
    fun `refuses text that is not JSON`() {
        val texts = listOf(
            "", " ", "{", "[", "\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[1 2]", "{a:1}", "{'a':1}", "01", "1.", ".5", "+1", "1e", "-",
            "NaN", "nul", "tru e", "1 1", "{} x", "\"\\x\"", "\"\\u12g4\"", "\"\\u+123\"", "\"\n\"", "\"\\\"", "{\"a\":1,\"a\":2}", "\uFEFF1",
        )
        for (text in texts) assertFailsWith<JsonException>(text) { parseJson(text) }
    }

    @Test
    fun `refuses deep nesting instead of overflowing the stack`() {
        val deepest = "[".repeat(33) + "]".repeat(33)
        assertEquals(deepest, writeJson(parseJson(deepest)))
        assertFailsWith<JsonException> { parseJson("[".repeat(34) + "]".repeat(34)) }
        assertFailsWith<JsonException> { parseJson("{\"a\":".repeat(1_000_000)) }
        val endless = ArrayList<Any?>().also { it.add(it) }
        assertFailsWith<ValetkeyException> { writeJson(endless) }
    }

    @Test
    fun `numbers beyond a Long become a Double`() {
        assertEquals(Long.MAX_VALUE, parseJson("9223372036854775807"))
        assertEquals(9.223372036854775808e18, parseJson("9223372036854775808"))
    }

    @Test
    fun `parses what it writes`() {
        val value = mapOf("quotes \" \\" to "\u0000\u001f\n ß😀", "n" to listOf(1L, -2.5, true, null), "m" to mapOf("a" to emptyList<Any>()))
        assertEquals(value, parseJson(writeJson(value)))
        assertEquals("""{"a":[1,2.5,"x"]}""", writeJson(mapOf("a" to arrayOf<Any>(1, 2.5f, StringBuilder("x")))))
    }

    @Test
    fun `half of a surrogate pair is replaced, as UTF-8 has no bytes for it`() {
        val half = "😀".take(1)
        assertEquals("\"\uFFFD\"", writeJson(half))
        assertEquals("\"\uFFFD😀\uFFFDa\"", writeJson("$half😀${"😀".drop(1)}a"))
        assertEquals("\"\uFFFD\uFFFD\"", writeJson(half + half))
        assertEquals("{\"\uFFFD\":1}", writeJson(mapOf(half to 1)))
        // Text that looks like an escape is sent unchanged.
        assertEquals("\"\\\\ud83d\"", writeJson("\\ud83d"))
    }

    @Test
    fun `refuses to write values that JSON cannot express`() {
        for (value in listOf(Double.NaN, Float.POSITIVE_INFINITY, Any(), mapOf(1 to 2))) {
            assertEquals(Code.INVALID_PARAMETER, assertFailsWith<ValetkeyException>("$value") { writeJson(value) }.code)
        }
    }
}
