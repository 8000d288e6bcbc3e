package valetkey

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

class SseParserTest {
    private fun parsed(vararg pieces: ByteArray): List<String> {
        val parser = SseParser()
        return pieces.flatMap(parser::push).map { "${it.type}|${it.id}|${it.data}" }
    }

    private val stream = "\uFEFF: hello\nretry: 5\nevent: status\r\nid: 7\r\ndata: {\"ä\":1,\r\ndata: \"b\":2}\r\n\r\n:\ndata:x\rid\rdata:  y\r\rdata\n\nevent: lost\n\ndata: z"

    @Test
    fun `reads fields, comments and every kind of line end`() {
        assertEquals(listOf("status|7|{\"ä\":1,\n\"b\":2}", "message||x\n y", "message||"), parsed(stream.toByteArray()))
    }

    @Test
    fun `parses the same events wherever the stream is split`() {
        val bytes = stream.toByteArray()
        val whole = parsed(bytes)
        for (cut in 0..bytes.size) assertEquals(whole, parsed(bytes.copyOf(cut), bytes.copyOfRange(cut, bytes.size)), "cut at $cut")
        assertEquals(whole, parsed(*bytes.map { byteArrayOf(it) }.toTypedArray()))
    }

    @Test
    fun `an id carries over to the next event, and an id with a NUL is ignored`() {
        assertEquals(listOf("message|3|a", "message|3|b"), parsed("id:3\ndata:a\n\nid:4\u0000\ndata:b\n\n".toByteArray()))
    }

    @Test
    fun `an endless line is refused, and so is an event with too many lines`() {
        assertFailsWith<EventTooLongException> { parsed(ByteArray(2 shl 20) { 'a'.code.toByte() }) }
        assertFailsWith<EventTooLongException> { parsed("data: ${"a".repeat(1000)}\n".repeat(2000).toByteArray()) }
        assertEquals(0, parsed(": ${"a".repeat(1000)}\n".repeat(2000).toByteArray()).size)
    }
}
