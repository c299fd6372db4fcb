"""Commands that destroy, that run what they download, that open a way in, and injected queries.

Written for text that `spelled` has prepared: lower case, no quotation marks around names, blanks
as one. Every gap is bounded, so no text makes them slow.
"""

from __future__ import annotations

import re

from guardrails.detectors.patterns import Pattern

FETCH = (
    r"(?<![\w.-])(?:curl|wget|iwr|irm|invoke-webrequest|invoke-restmethod|aria2c|lwp-download)\s"
)
SHELL = (
    r"(?:sudo\s(?:-\S{1,20}\s){0,3})?(?:env\s)?(?:/(?:usr/)?bin/)?"
    r"(?:(?:ba|z|k|da|a|c|fi)?sh|pwsh|powershell|iex|invoke-expression|"
    r"(?:python[\d.]{0,4}|perl|ruby|node|php)(?!\s(?:-m\sjson|-[a-z]{0,4}[ce]\s)))"
)
END = r"(?![\w.-])"
REST = r"[^\n;|&]{0,300}"
ONE_LINE = r"[^\n]{0,300}?"


def _kind(category: str, entries: dict[str, str]) -> tuple[Pattern, ...]:
    return tuple(Pattern(name, category, re.compile(pattern)) for name, pattern in entries.items())


# These take a target: each one has to stand in a passage, after the same command.
TARGETED = _kind(
    "destructive",
    {
        "rm -rf": r"(?<![\w.-])rm\s(?=[^\n;|&]{0,80}?(?:-\w{0,6}[rf]|--recursive|--force))" + REST,
        "chmod -R": r"(?<![\w.-])chmod\s(?=[^\n;|&]{0,40}?(?:-\w{0,6}r|--recursive|[0-7]?777))"
        + REST,
        "chown -R": r"(?<![\w.-])chown\s(?=[^\n;|&]{0,40}?(?:-\w{0,6}r|--recursive))" + REST,
        "find -delete": r"(?<![\w.-])find\s(?=[^\n;|&]{0,200}?(?:\s-delete|-exec\srm))" + REST,
        "wipe a device": r"(?<![\w.-])(?:mkfs(?:\.\w{1,10})?|mke2fs|wipefs|shred|blkdiscard|"
        r"sgdisk|cryptsetup|hdparm)\s(?=[^\n;|&]{0,200}?/)" + REST,
        "overwrite a device": r"(?<![\w.-])dd\s(?=[^\n;|&]{0,200}?of=/)" + REST,
        "redirect to a device": r">\s?/dev/(?:sd|nvme|vd|xvd|hd|mmcblk|disk|mapper)\S{0,40}",
        "move to nowhere": r"(?<![\w.-])mv\s[^\n;|&]{1,200}?/dev/null",
    },
)
DESTRUCTIVE = _kind(
    "destructive",
    {
        "fork bomb": r":\s?\(\s?\)\s?\{\s?:\s?\|\s?:\s?&\s?\}\s?;\s?:|"
        r"\b(\w{1,20})\(\)\s?\{\s?\1\s?\|\s?\1\s?&\s?\}\s?;\s?\1",
        "windows disk": r"(?<![\w-])(?:format-volume|clear-disk|initialize-disk|remove-partition)"
        r"(?:\s-\w{1,30}(?:\s[\w:*]{1,30})?){1,8}|(?<![\w-])format(?:\.com)?\s[a-z]:\S{0,10}|"
        r"\bvssadmin\sdelete\sshadows[^\n.]{0,60}|\bdiskpart\b[^\n]{0,60}\bclean\b",
        "windows delete": r"(?<![\w-])(?:del|erase|rd|rmdir)\s(?:/[a-z]\s){1,4}[^\s;|&]{1,200}|"
        r"(?<![\w-])remove-item\s(?=[^\n;|]{0,200}?-(?:recurse|force))[^\n;|]{0,200}",
        "sql drop": r"\bdrop\s(?:table|database|schema|"
        r"tablespace)\s(?:if\sexists\s)?[\w.\"*-]{1,80}|"
        r"\btruncate\stable\s[\w.]{1,80}|\bdelete\sfrom\s[\w.]{1,80}\s?(?:;|$|where\s1\s?=\s?1)",
        "kubectl delete all": r"(?<![\w-])(?:kubectl|oc)\s(?=[^\n;|&]{0,200}?\bdelete\b)"
        r"[^\n;|&]{0,200}?\s--all(?:-namespaces)?(?![\w-])|"
        r"(?<![\w-])(?:kubectl|oc)\s(?:-\S{1,40}\s){0,4}delete\s(?:ns|namespaces?|projects?|nodes?|"
        r"pvs?|pvcs?|crds?|customresourcedefinitions?|persistentvolumes?)\s[^\s;|&]{1,100}",
        "esxi wipe": r"\besxcli\s[^\n;|&]{0,160}?\b(?:format|erase|remove|delete|unmap|shutdown|"
        r"reboot)\b[^\n;|&]{0,160}|\bvmkfstools\s(?=[^\n;|&]{0,80}?-(?:u\b|-deletevirtualdisk|c\b))"
        r"[^\n;|&]{0,120}|\bvim-cmd\svmsvc/destroy\s\S{1,40}|\bpartedutil\s(?:delete|"
        r"mklabel)\s\S{1,90}",
        "powercli delete": r"(?<![\w-])(?:remove-vm|remove-datastore|remove-harddisk|"
        r"remove-cluster)"
        r"\s[^\n;|.]{0,200}|\bget-vm\b[^\n]{0,80}\|\s?(?:remove|stop)-vm\b[^\n;|.]{0,80}",
        "git force": r"\bgit\s(?:-\S{1,40}\s){0,3}push\s(?=[^\n;|&]{0,120}?(?:--force|-f\b|"
        r"--mirror|--delete))"
        r"(?:[\w./:+-]{1,80}\s?){1,6}|\bgit\sreset\s--hard\s?[\w~^/]{0,60}|"
        r"\bgit\sclean\s-\w{0,4}f\w{0,4}",
        "power off": r"(?<![\w./-])shutdown\s(?:-[a-z]|/[a-z]|now\b)(?:\s?[\w+/-]{1,10}){0,3}|"
        r"\b(?:systemctl|sudo)\s(?:halt|poweroff|reboot)\b|\binit\s0\b|\b(?:halt|"
        r"poweroff)\s-[a-z]\b|"
        r"(?<![\w-])(?:stop|restart)-(?:computer|vmhost)\b(?:\s-\w{1,20}){0,3}",
        "storage wipe": r"(?<![\w-])(?:lvremove|vgremove|pvremove)\s[^\n;|&.]{1,100}|"
        r"\bzpool\s(?:destroy|labelclear)\s\S{1,80}|\bparted\s[^\n;|&]{1,80}?\b(?:mklabel|"
        r"rm)\b\s?\S{0,20}|"
        r"\bceph\sosd\spool\s(?:delete|rm)\s[^\n;|&]{1,120}",
        "tear down": r"\bterraform\sdestroy\b(?:\s-\S{1,40}){0,4}|\b(?:docker|"
        r"podman)\s(?:system|volume|image)"
        r"\sprune(?:\s-\S{1,20}){0,4}|\biptables\s(?:-t\s\w{1,10}\s)?(?:-f|--flush)\b|"
        r"\bnft\sflush\s\w{1,20}|"
        r"\bcrontab\s-r\b|\betcdctl\s[^\n;|&]{0,100}?\bdel\s[^\n;|&]{0,60}--(?:prefix|from-key)\b|"
        r"\bopenshift-install\sdestroy\s\S{1,40}|\bredis-cli\s(?:-\S{1,40}\s){0,4}flush(?:all|"
        r"db)\b|"
        r"\bdropdatabase\s?\(|\b(?:history\s-c|userdel\s-r\s\S{1,40})",
    },
)
DOWNLOAD_AND_RUN = _kind(
    "download",
    {
        "download into a shell": FETCH
        + r"[^\n]{0,300}?\|(?:\n?[^\n|]{0,61}\|){0,2}\s?"
        + SHELL
        + END,
        "shell of a download": SHELL
        + r"\s(?:-\w{1,4}\s)?[\"']?(?:<\s?\(|\$\(|`)\s?(?:curl|wget)\s[^\n]{0,300}",
        "evaluate a download": r"(?<![\w.-])(?:eval|source|exec|\.)\s[\"']?(?:<\s?\(|\$\(|"
        r"`)?\s?(?:curl|wget)"
        r"\s[^\n]{0,300}",
        "powershell download": r"(?<![\w-])(?:iex|invoke-expression)\b[^\n]{0,60}?(?:iwr|irm|"
        r"curl|wget|"
        r"invoke-webrequest|invoke-restmethod|new-object|downloadstring)[^\n]{0,300}|"
        r"\.download(?:string|file|data)\s?\([^\n]{0,300}|"
        r"\b(?:powershell|pwsh)(?:\.exe)?\s[^\n]{0,80}?-e(?:nc|ncodedcommand|c)?\s[\w+/=]{16,4000}",
        "download, then run": FETCH
        + r"[^\n]{0,300}?(?:&&|;|\n)\s?(?:sudo\s)?(?:chmod\s\S{1,10}x?\s|"
        + SHELL
        + r"\s(?!-c)|\./)[^\n]{1,200}",
        "code of a download": r"\b(?:python[\d.]{0,4}|perl|ruby|node|php)\s-\w{0,3}[cer]\s"
        r"(?=[^\n]{0,300}?(?:urllib|requests|urlopen|http|lwp|net::|open-uri|fetch))"
        r"(?=[^\n]{0,300}?(?:exec|eval|system|compile|popen|subprocess))[^\n]{0,300}",
        "encoded command": r"(?<![\w-])(?:base64\s(?:-\w{0,3}d\w{0,2}|--decode)|xxd\s-r(?:\s-p)?|"
        r"openssl\s(?:enc\s-d|base64\s-d)|gunzip|rev|tr\s)[^\n|]{0,200}\|\s?" + SHELL + END,
        "windows downloader": r"\bcertutil(?:\.exe)?\s[^\n]{0,60}-urlcache[^\n]{0,200}|"
        r"\bmshta(?:\.exe)?\s(?:http|javascript|vbscript)\S{0,200}|"
        r"\bbitsadmin\s[^\n]{0,60}/transfer[^\n]{0,200}|"
        r"\bregsvr32\s[^\n]{0,60}/i:http\S{0,200}|\brundll32\s[^\n]{0,40}javascript\S{0,200}",
    },
)
WAY_IN = _kind(
    "reverse shell",
    {
        "shell over tcp": r"/dev/(?:tcp|udp)/[\w.$-]{1,80}/\S{1,20}|\bbash\s-i\s[^\n]{0,20}>&",
        "netcat shell": r"(?<![\w.-])(?:nc|ncat|netcat)(?:\.\w{1,12})?\s(?=[^\n;|"
        r"]{0,100}?\s?-\w{0,6}(?:e|c)\s)"
        r"[^\n;|]{0,160}|\bmkfifo\s[^\n]{0,200}?\b(?:nc|ncat|telnet|openssl)\s[^\n]{0,100}|"
        r"(?<![\w.-])(?:nc|ncat|telnet)\s[^\n|;]{1,80}\|\s?" + SHELL + END,
        "socat shell": r"\bsocat\s[^\n]{0,160}?exec:[^\n]{0,160}",
        "script with a socket": r"\bsocket\.socket\([^\n]{0,400}?(?:dup2|subprocess|pty\.spawn|"
        r"os\.system)|"
        r"\bfsockopen\([^\n]{0,300}?(?:exec|system|proc_open|passthru)|"
        r"\bperl\s-\w{0,4}e\s[^\n]{0,60}?socket[^\n]{0,300}|\bruby\s-rsocket\s[^\n]{0,300}|"
        r"\bnet\.sockets\.tcpclient\b[^\n]{0,200}",
        "key for a stranger": r"\becho\s[^\n]{0,400}>>?\s?\S{0,60}authorized_keys|"
        r"\bnopasswd:\s?all[^\n]{0,20}>>\s?/etc/sudoers|>>\s?/etc/(?:passwd|shadow|sudoers)\b",
    },
)
INJECTED = _kind(
    "injection",
    {
        "always true": r"(?:'|\"|\)|\b\d{1,9})\s?\)?\s?(?:or|and|"
        r"\|\|)\s(?:not\s)?['\"(]?(\w{1,9})['\"]?\s?"
        r"(?:=|like)\s?['\"]?\1['\"]?(?:\s?(?:--|#|/\*|;|\)|')|\s*$)|\bor\s1\s?=\s?1\b",
        "union select": r"\bunion(?:\s|/\*\*/|\+){1,3}(?:all(?:\s|/\*\*/|"
        r"\+){1,3})?select\b[^\n]{0,120}",
        "stacked query": r"['\")\d]\s?;\s?(?:drop|delete|insert|update|alter|truncate|exec|"
        r"shutdown)\s[^\n]{0,120}",
        "sql probe": r"\bxp_cmdshell\b|\bwaitfor\sdelay\s[^\n]{1,20}|\binto\s(?:out|"
        r"dump)file\s[^\n]{1,80}|"
        r"\bpg_sleep\s?\(|\bbenchmark\s?\(\s?\d{4}|['\"]\s?(?:and|or)\ssleep\s?\(|\bload_file\s?\(|"
        r"\badmin'\s?(?:--|#)",
        "shell injection": r"(?:;|\|\|?|&&?|`|\$\()\s?(?:cat|less|head|tail|more|cp|nc|"
        r"curl\s[^\n]{0,99})\s?"
        r"(?:-\S{1,9}\s)?[^\n;|]{0,40}/etc/(?:passwd|shadow|sudoers)\b|"
        r"(?:\.\./){3,20}\S{0,80}|\$\(\s?(?:whoami|id|uname\s-a)\s?\)|`(?:whoami|id)`\s?[;|&'\"]|"
        r"(?:;|\||&&)\s?(?:whoami|id|uname\s-a)\s?(?:$|[;|&#])|\(\)\s?\{\s?:;\s?\}\s?;",
        "look-up injection": r"\$\{(?:\$\{[^}\n]{0,40}\}|[a-z:-]){0,20}?(?:jndi|ldap|rmi|"
        r"dns):[^\n]{0,120}",
        "secrets to a stranger": r"(?:/etc/(?:passwd|shadow)|\.ssh/id_\w{1,9}|"
        r"\.aws/credentials|\.kube/config)"
        r"[^\n]{0,60}?\|\s?(?:curl|wget|nc|ncat)\s[^\n]{0,200}|"
        r"\b(?:curl|wget)\s[^\n]{0,200}?(?:-d|--data\S{0,10}|--post-file|-f|-t|"
        r"--upload-file)[\s=]{0,2}\S{0,61}"
        r"(?:/etc/(?:passwd|shadow)|\.ssh/|\.kube/config|\$\(|`)[^\n]{0,100}",
    },
)
WHOLE = (*DESTRUCTIVE, *DOWNLOAD_AND_RUN, *WAY_IN, *INJECTED)
