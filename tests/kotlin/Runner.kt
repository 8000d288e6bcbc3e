// Runs each @Test of the compiled classes in a folder, ordered by class and test name.
package valetkey.runner

import java.io.File
import java.lang.reflect.InvocationTargetException
import java.lang.reflect.Method
import kotlin.system.exitProcess

fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val files = folder.walk().filter { it.extension == "class" }.sorted()
    val names = files.map { it.relativeTo(folder).path.removeSuffix(".class").replace(File.separatorChar, '.') }
    val results = names.map { Class.forName(it) }.flatMap { type -> testsOf(type).map { passes(type, it) } }.toList()
    val passed = results.count { it }
    println("$passed passed, ${results.size - passed} failed")
    exitProcess(if (passed == results.size && passed > 0) 0 else 1)
}

private fun testsOf(type: Class<*>) = type.declaredMethods.filter { it.isAnnotationPresent(Test::class.java) }.sortedBy { it.name }

private fun passes(type: Class<*>, test: Method): Boolean {
    val startedAt = System.nanoTime()
    return try {
        test.invoke(type.getDeclaredConstructor().newInstance())
        println("ok      ${type.simpleName}: ${test.name} (${(System.nanoTime() - startedAt) / 1_000_000} ms)")
        true
    } catch (failure: InvocationTargetException) {
        println("FAILED  ${type.simpleName}: ${test.name}")
        failure.targetException.printStackTrace(System.out)
        false
    }
}

private typealias Test = kotlin.test.Test
