package page

// Languages that the pages speak, as BCP 47 tags.
const (
	English = "en"
	Chinese = "zh-CN"
)

// Said is a text in Chinese and in English.
type Said [2]string

// In is the text in a language.
func (s Said) In(lang string) string {
	if lang == Chinese {
		return s[0]
	}
	return s[1]
}

// Words are texts by their keys.
type Words map[string]Said

// words are the texts of the shell.
var words = Words{
	"brand-line": {"支付不间断", "Payments that go on"},
	"skip":       {"跳到正文", "Skip to content"},
	"menu":       {"导航", "Pages"},
	"language":   {"语言", "Language"},
	"theme":      {"外观", "Theme"},
	"auto":       {"自动", "Auto"},
	"light":      {"浅色", "Light"},
	"dark":       {"深色", "Dark"},
	"sign-out":   {"退出", "Sign out"},
	"served-by":  {"当前站点", "Served by"},
	"came-from":  {"不再应答，您现在位于", "does not answer any more. You are now at"},
	"lost": {
		"与站点的连接中断，正在寻找其他站点……",
		"This site does not answer. Looking for another one …",
	},
	"lost-all": {
		"没有站点应答。本页会继续尝试；下面显示的是最后收到的情况。",
		"No site answers. This page goes on trying; what is shown below is the last it has heard.",
	},
	"lost-send":       {"%s 不再应答；您填写的内容会提交到 %s。", "%s does not answer any more. What you send goes to %s."},
	"blind":           {"暂时读不到机群状态，下面是较早的情况。", "The fleet cannot be read just now. What is shown below is older."},
	"not-live":        {"没有脚本时本页不会自动更新。", "Without scripts this page does not update itself."},
	"reload":          {"刷新", "Reload"},
	"at":              {"时间", "At"},
	"utc":             {"协调世界时", "UTC"},
	"none":            {"没有", "none"},
	"yes":             {"是", "yes"},
	"no":              {"否", "no"},
	"as-a-table":      {"以表格显示", "The same as a table"},
	"not-known":       {"未知", "not known"},
	"ms":              {"毫秒", "ms"},
	"title-sorry":     {"无法显示", "Nothing to see"},
	"error":           {"错误", "Error"},
	"why-forged":      {"这个表单不是从我们的页面发出的，因此什么也没有做。请从页面上重新操作。", "This form was not sent from one of our pages, so nothing was done. Start again from the page."},
	"why-form":        {"表单无法读取，什么也没有做。", "The form could not be read. Nothing was done."},
	"why-forbidden":   {"您的密钥没有查看这一页的权限。请用权限足够的密钥登录。", "Your key may not see this. Sign in with one that may."},
	"why-not-found":   {"没有这样的内容。", "There is nothing of that name."},
	"why-refused":     {"请求没有被接受。", "That was refused."},
	"why-unavailable": {"现在没有站点应答。已确认的付款不会丢失。请稍候刷新。", "No site answers just now. Nothing that was acknowledged is lost. Reload in a moment."},
	"title-resend":    {"暂时无法处理", "Not just now"},
	"resend-lead":     {"现在没有站点能处理这个请求。如果之前已经提交过，它可能已经完成：请不要重新填写，直接再提交一次。", "No site can do this just now. If it was sent before, it may have been done: do not fill it in anew, send it again."},
	"resend-again":    {"再提交一次", "Send again"},
	"resend-safe":     {"同一个编号最多只会执行一次。", "It keeps its number, and is done once at most."},
	"title-elsewhere": {"这一页不属于您", "This page is for others"},
	"elsewhere-lead":  {"您已登录，但这一页是给别人的。", "You are signed in, but this page is for other people."},
	"elsewhere-go":    {"去您自己的页面", "Go to your own pages"},
	"elsewhere-out":   {"或者退出后换一个身份登录。", "Or sign out, and sign in as somebody else."},
}

// ShellWord is a text of the shell, which every area has.
func ShellWord(key string) (Said, bool) {
	if s, ok := words[key]; ok {
		return s, true
	}
	s, ok := accountWords[key]
	return s, ok
}
