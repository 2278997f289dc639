package site

import "time"

// Time is the time that this site believes, by which it stamps: that of its own clock, unless that is far ahead of those of the other sites. What happens
// at a time that people know, as the end of a merchant's day does, goes by it. Until another site has been heard after a start there is only the own clock;
// a leader proposes nothing for a second then, and hears the others meanwhile.
func (s *Site) Time() time.Time { return s.host.Time().Std() }
