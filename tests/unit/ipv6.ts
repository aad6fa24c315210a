/** Whether a server can listen on IPv6 here: containers often have none at all. */
export const HAS_IPV6 = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch (error) {
    console.error(`IPv6 is not tested: ${error}`);
    return false;
  }
})();
