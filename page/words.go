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
	"lost-send":          {"%s 不再应答；您填写的内容会提交到 %s。", "%s does not answer any more. What you send goes to %s."},
	"blind":              {"暂时读不到机群状态，下面是较早的情况。", "The fleet cannot be read just now. What is shown below is older."},
	"not-live":           {"没有脚本时本页不会自动更新。", "Without scripts this page does not update itself."},
	"reload":             {"刷新", "Reload"},
	"at":                 {"时间", "At"},
	"utc":                {"协调世界时", "UTC"},
	"none":               {"没有", "none"},
	"yes":                {"是", "yes"},
	"no":                 {"否", "no"},
	"as-a-table":         {"以表格显示", "The same as a table"},
	"not-known":          {"未知", "not known"},
	"ms":                 {"毫秒", "ms"},
	"title-sign-in":      {"登录", "Sign in"},
	"title-sorry":        {"无法显示", "Nothing to see"},
	"sign-in":            {"登录", "Sign in"},
	"sign-in-lead":       {"登录后查看机群。您有什么权限，页面就有什么权限。", "Sign in to look at the fleet. The pages may do what you may do, and nothing else."},
	"login":              {"名称", "Name"},
	"password":           {"密码", "Password"},
	"by-key":             {"还没有密码？用 API 密钥登录", "No password yet? Sign in with an API key"},
	"api-key":            {"API 密钥", "API key"},
	"api-key-hint":       {"以 hf_ 开头。holdfast serve 首次启动时会显示一个；holdfast key 可以再建。", "It begins with hf_. holdfast serve shows one when it first starts; holdfast key makes others."},
	"session-ended":      {"登录已失效，请重新登录。之后会回到您刚才的页面。", "You are signed out: sign in again, and you come back to the page you were at."},
	"error":              {"错误", "Error"},
	"problem-login-form": {"请填写名称和密码。", "Give both your name and your password."},
	"problem-login-wrong": {
		"名称和密码不匹配。请检查大小写后再试；忘记密码时，请运维人员发一个新的邀请（holdfast person invite）。",
		"This name and this password do not fit together. Check both and try again; who has forgotten the password asks an operator for an invitation (holdfast person invite).",
	},
	"problem-tries":    {"尝试次数太多。请等一会儿再试。", "There were too many tries. Wait a while, and try again."},
	"problem-form":     {"表单无法读取，请再试一次。", "The form could not be read. Try again."},
	"problem-key-form": {"这不是 API 密钥：密钥以 hf_ 开头，请完整复制。", "This is no API key: one begins with hf_. Copy all of it."},
	"problem-key-wrong": {
		"没有站点接受这个密钥。请检查是否复制完整，或请运维人员新建一个。",
		"The site does not take this key. Check that you have copied all of it, or ask for another one.",
	},
	"problem-unavailable": {"现在没有站点应答。请稍候再试。", "No site answers just now. Try again in a moment."},
	"why-forged":          {"这个表单不是从我们的页面发出的，因此什么也没有做。请从页面上重新操作。", "This form was not sent from one of our pages, so nothing was done. Start again from the page."},
	"why-form":            {"表单无法读取，什么也没有做。", "The form could not be read. Nothing was done."},
	"why-forbidden":       {"您的密钥没有查看这一页的权限。请用权限足够的密钥登录。", "Your key may not see this. Sign in with one that may."},
	"why-not-found":       {"没有这样的内容。", "There is nothing of that name."},
	"why-refused":         {"请求没有被接受。", "That was refused."},
	"why-unavailable":     {"现在没有站点应答。已确认的付款不会丢失。请稍候刷新。", "No site answers just now. Nothing that was acknowledged is lost. Reload in a moment."},
	"title-elsewhere":     {"这一页不属于您", "This page is for others"},
	"elsewhere-lead":      {"您已登录，但这一页是给别人的。", "You are signed in, but this page is for other people."},
	"elsewhere-go":        {"去您自己的页面", "Go to your own pages"},
	"elsewhere-out":       {"或者退出后换一个身份登录。", "Or sign out, and sign in as somebody else."},
	"account":             {"我的账号", "My account"},
}

// ShellWord is a text of the shell, which every area has.
func ShellWord(key string) (Said, bool) {
	s, ok := words[key]
	return s, ok
}
