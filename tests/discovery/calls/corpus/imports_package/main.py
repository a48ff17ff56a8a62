import package.inner

package.inner.work()
package.start()
