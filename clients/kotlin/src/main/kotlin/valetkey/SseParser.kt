package valetkey

import java.io.ByteArrayOutputStream

/** An event of a stream. [id] is the last `id` field of the stream, in this event or an earlier one. */
internal class ServerEvent(val type: String, val data: String, val id: String)

/** An event larger than any that Valetkey sends. */
internal class EventTooLongException : Exception("the event is too long")

/** 1 MiB. A prediction is a few kilobytes. */
private const val MAX_EVENT_BYTES = 1 shl 20

/**
 * A parser of server-sent events that accepts the stream's bytes in pieces of any size (WHATWG HTML, section 9.2.6).
 */
internal class SseParser {
    private val line = ByteArrayOutputStream()
    private val data = ArrayList<String>()
    private var dataBytes = 0
    private var type = ""
    private var id = ""
    private var isFirstLine = true
    private var isAfterCr = false

    /** The number of comments so far. Each one shows that the connection is alive. */
    var comments = 0
        private set

    /** Returns the events that [piece] completed. */
    fun push(piece: ByteArray): List<ServerEvent> {
        val events = ArrayList<ServerEvent>()
        for (byte in piece) {
            val isSecondHalf = isAfterCr && byte == LF
            isAfterCr = byte == CR
            when {
                isSecondHalf -> continue
                byte == LF || byte == CR -> endLine()?.let(events::add)
                line.size() + dataBytes >= MAX_EVENT_BYTES -> throw EventTooLongException()
                else -> line.write(byte.toInt())
            }
        }
        return events
    }

    private fun endLine(): ServerEvent? {
        // Line ends are ASCII, so a line never ends inside a UTF-8 character.
        var text = line.toString("UTF-8")
        line.reset()
        if (isFirstLine) text = text.removePrefix("\uFEFF")
        isFirstLine = false
        if (text.isEmpty()) return dispatch()
        takeField(text)
        return null
    }

    private fun takeField(text: String) {
        val name = text.substringBefore(':')
        val value = text.substringAfter(':', "").removePrefix(" ")
        when (name) {
            "" -> comments += 1
            "data" -> {
                data.add(value)
                dataBytes += text.length
            }
            "event" -> type = value
            "id" -> if ('\u0000' !in value) id = value
        }
    }

    private fun dispatch(): ServerEvent? {
        val event = if (data.isEmpty()) null else ServerEvent(type.ifEmpty { "message" }, data.joinToString("\n"), id)
        data.clear()
        dataBytes = 0
        type = ""
        return event
    }

    private companion object {
        const val LF = '\n'.code.toByte()
        const val CR = '\r'.code.toByte()
    }
}
